import { PreMigrationSnapshotEvent } from '../../lambdas/contract/gate';
import { RecoveryInput } from '../../lambdas/contract/recovery-input';
import { parse } from '../../lambdas/parse';

const RENAME = { mode: 'rename', reason: 'x', requestedBy: 'y' };

function messageFor(input: unknown): string {
  try {
    parse(RecoveryInput, input, 'input of the recovery');
    return 'accepted';
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : '';
  }
}

test('{} plans a way back to the latest pre-migration snapshot', () => {
  expect(parse(RecoveryInput, {}, 'input')).toEqual({
    mode: 'plan',
    restore: { to: 'latest-pre-migration-snapshot' },
    verify: { accept: [], amcheck: false },
  });
});

test.each([
  [{ mode: 'undo it' }, 'mode: got "undo it", allowed is one of "plan", "recover"'],
  [{ mod: 'plan' }, 'mod: got "plan", allowed is no such field'],
  [{ mode: 'recover', reason: 'x' }, 'requestedBy: got nothing, allowed is a text: it is needed to recover'],
  [
    { restore: { to: 'yesterday' } },
    'restore.to: got "yesterday", allowed is one of "latest-pre-migration-snapshot"',
  ],
  [
    { restore: { to: 'time', time: '10 o clock' } },
    'restore.time: got "10 o clock", allowed is a time as 2026-11-21T10:00:00Z',
  ],
  [{ restore: { to: 'snapshot' } }, 'restore.snapshotId: got nothing, allowed is a string'],
  [
    { restore: { to: 'snapshot', snapshotId: 'arn:aws:rds:x' } },
    'restore.snapshotId: got "arn:aws:rds:x", allowed is the name of a snapshot in this account and Region: letters,',
  ],
  [{ requestedBy: '  ' }, 'requestedBy: got "  ", allowed is a text'],
  [{ reason: '' }, 'reason: got "", allowed is a text'],
  [{ reason: 5 }, 'reason: got 5, allowed is a string'],
  [{ keepDays: 3 }, 'keepDays: got 3, allowed is something only with "retire": "keep"'],
  [{ retire: 'keep', keepDays: 0 }, 'keepDays: got 0'],
  [{ soakMinutes: 1441 }, 'soakMinutes: got 1441'],
  [{ soakAlarms: [''] }, 'soakAlarms.0: got ""'],
  [[], '(the whole): got [], allowed is an object'],
  [
    { verify: { accept: ['writable'] } },
    'verify.accept.0: got "writable", allowed is one of "no failed migration", ',
  ],
  [
    { verify: { accept: ['rows as recorded', 'nonsense'] } },
    'verify.accept.1: got "nonsense", allowed is one of',
  ],
  [{ mode: 'clean-up' }, 'reason: got nothing, allowed is a text: it is needed to clean-up'],
  [{ mode: 'clean-up', reason: 'x' }, 'requestedBy: got nothing'],
  [
    { ...RENAME, restore: { to: 'latest-snapshot' } },
    'restore: got {"to":"latest-snapshot"}, allowed is no such field in mode "rename"',
  ],
  [{ ...RENAME, retire: 'keep' }, 'retire: got "keep", allowed is no such field in mode "rename"'],
  [
    { ...RENAME, mode: 'undo', warm: { tables: ['a'] } },
    'warm: got {"tables":["a"]}, allowed is no such field in mode',
  ],
  [
    { mode: 'drill', approveCutover: true },
    'approveCutover: got true, allowed is no such field in mode "drill"',
  ],
])('%j is refused with the field, what was given and what is allowed', (input, text) => {
  const message = messageFor(input);
  expect(message).toContain('InvalidInput: ');
  expect(message).toContain(text);
  expect(message).toContain('Hint: ');
});

test('an empty request for a snapshot names what is missing', () => {
  expect(() => parse(PreMigrationSnapshotEvent, {}, 'request')).toThrow(
    /deploymentId: got nothing, allowed is a string/,
  );
});

test.each([
  { verify: { accept: ['rows as recorded', 'amcheck', 'orders-have-lines.sql'] } },
  { ...RENAME, mode: 'recover', warm: { tables: ['a'] }, soakMinutes: 5, retire: 'keep', keepDays: 3 },
  { ...RENAME, mode: 'undo', retire: 'keep', approveCutover: true, soakMinutes: 5 },
  { mode: 'drill', restore: { to: 'latest-snapshot' }, verify: { amcheck: true } },
  { reason: 'see http://wiki:8080/page and https://example.com/a@b, at 10:30 by ann@example.com' },
])('%j is taken', (input) => {
  expect(messageFor(input)).toBe('accepted');
});

test.each(['reason', 'requestedBy'])('a password in %s is refused, and not repeated', (field) => {
  for (const url of [
    'postgresql://app:s3cret@db.example.com/app',
    'redis://:s3cr/et@x',
    'POSTGRES://a:12s3@h',
  ]) {
    const message = messageFor({ ...RENAME, [field]: `the app says ${url} is gone` });
    expect(message).toContain(
      `${field}: got a URL with a password in it, allowed is a text without a password`,
    );
    expect(message).not.toMatch(/s3|gone/);
  }
});
