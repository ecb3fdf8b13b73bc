import { saslprep, scramVerifier } from '../../lambdas/scram';

test('the verifier is the one of RFC 7677 for its password and salt', () => {
  // The server signature of RFC 7677 section 3 follows from this ServerKey; StoredKey as PostgreSQL computes it.
  const verifier = scramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'));
  expect(verifier).toBe(
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
  );
});

test('a salt of its own every time', () => {
  expect(scramVerifier('x')).not.toBe(scramVerifier('x'));
});

test.each([
  ['I\u00ADX', 'IX'],
  ['\u00AA', 'a'],
  ['\u2168', 'IX'],
  ['a\u00A0b', 'a b'],
])('SASLprep of %j (RFC 4013 section 3)', (given, prepared) => {
  expect(saslprep(given)).toBe(prepared);
});
