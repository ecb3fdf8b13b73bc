import {
  customerTags,
  encode,
  heldName,
  migrationsDigest,
  readMarks,
  readMigrations,
  writeMarks,
  writeMigrations,
} from '../../lambdas/tags';
import fc from '../fast-check';

const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
const migration = fc.record({
  name: fc.string({ minLength: 1, maxLength: 80, unit: 'grapheme' }),
  checksum: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/), { nil: undefined }),
});

test('every tag is one that RDS takes, whatever CI sends', () => {
  const text = fc.string({ maxLength: 400, unit: 'binary' });
  fc.assert(
    fc.property(text, text, fc.array(migration, { maxLength: 500 }), (actor, commit, migrations) => {
      const tags = [...writeMarks({ role: 'pre-migration', actor, commit }), ...writeMigrations(migrations)];
      expect(tags.length).toBeLessThanOrEqual(30);
      for (const { Key = '', Value = '' } of tags) {
        expect(Key.length).toBeLessThanOrEqual(128);
        expect(Array.from(Value).length).toBeLessThanOrEqual(256);
        expect(Value).toMatch(ALLOWED);
      }
    }),
    { numRuns: 50 },
  );
});

test('marks are read as they were written', () => {
  const marks = {
    role: 'final',
    environment: 'production',
    'recovery-id': '0123456789',
    'expires-at': '2026-11-21T10:00:00.000Z',
  } as const;
  expect(readMarks(writeMarks(marks))).toEqual(marks);
});

test('a role that this system does not know is none', () => {
  expect(readMarks([{ Key: 'migration-rollback:role', Value: 'something' }]).role).toBeUndefined();
});

test('migrations come back in order, names with odd characters too', () => {
  fc.assert(
    fc.property(fc.array(migration, { maxLength: 20 }), (migrations) => {
      const read = readMigrations(writeMigrations(migrations));
      const names = migrations.map(({ name }) => heldName(name));
      expect(read?.count).toBe(names.length);
      expect(names.slice(names.length - (read?.names.length ?? 0))).toEqual(read?.names);
      expect(read?.complete).toBe(read?.names.length === names.length);
    }),
  );
});

test('of 500 migrations with long names the newest are stored, with the count and digest of all', () => {
  const migrations = Array.from({ length: 500 }, (_, index) => ({
    name: `20260101${String(index).padStart(6, '0')}_${'a_long_name_of_a_migration'.repeat(3)}`,
    checksum: 'ab'.repeat(32),
  }));
  const tags = writeMigrations(migrations);
  const read = readMigrations(tags);
  expect(read?.count).toBe(500);
  expect(read?.complete).toBe(false);
  expect(read?.names.length).toBeGreaterThan(30);
  expect(read?.names.at(-1)).toBe(migrations.at(-1)?.name);
  expect(tags.find(({ Key }) => Key === 'migration-rollback:migrations-digest')?.Value).toBe(
    migrationsDigest(migrations),
  );
});

test('a name that no tag holds is shortened, and still told from others', () => {
  const long = fc.string({ minLength: 1, maxLength: 300, unit: 'grapheme' });
  fc.assert(
    fc.property(long, long, (one, other) => {
      expect(encode(heldName(one)).length).toBeLessThanOrEqual(228);
      expect(heldName(heldName(one))).toBe(heldName(one));
      expect(heldName(`${other}${one}`) === heldName(`${other}${other}`)).toBe(one === other);
    }),
  );
  expect(heldName('20261121120000_short')).toBe('20261121120000_short');
  const [first, second] = ['a', 'b'].map((end) => ({ name: `${'ü'.repeat(200)}${end}` }));
  if (!first || !second) throw new Error('unreachable');
  expect(readMigrations(writeMigrations([first, second]))?.names).toEqual([
    heldName(first.name),
    heldName(second.name),
  ]);
});

test('a snapshot without our tags says nothing about migrations', () => {
  expect(readMigrations([{ Key: 'Name', Value: 'x' }])).toBeNull();
  expect(readMigrations(undefined)).toBeNull();
  expect(readMigrations(writeMigrations([]))).toEqual({ names: [], count: 0, complete: true });
});

test('tags of the customer are those of neither AWS nor this system', () => {
  expect(
    customerTags([
      { Key: 'team', Value: 'orders' },
      { Key: 'aws:cloudformation:stack-name', Value: 'x' },
      { Key: 'migration-rollback:role', Value: 'retired' },
    ]),
  ).toEqual([{ Key: 'team', Value: 'orders' }]);
});
