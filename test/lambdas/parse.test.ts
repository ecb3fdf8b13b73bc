import { PreMigrationSnapshotEvent, RecoveryInput } from '../../lambdas/contract';
import { parse } from '../../lambdas/parse';

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
  [{ mode: 'recover', reason: 'x' }, 'requestedBy: got nothing, allowed is a value: it is needed to recover'],
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
    'restore.snapshotId: got "arn:aws:rds:x", allowed is the format',
  ],
  [{ requestedBy: '  ' }, 'requestedBy: got "  ", allowed is a text'],
  [{ reason: '' }, 'reason: got "", allowed is a text'],
  [{ reason: 5 }, 'reason: got 5, allowed is a string'],
  [{ keepDays: 3 }, 'keepDays: got 3, allowed is a value: it goes with "retire": "keep" only'],
  [{ retire: 'keep', keepDays: 0 }, 'keepDays: got 0'],
  [{ soakMinutes: 1441 }, 'soakMinutes: got 1441'],
  [{ soakAlarms: [''] }, 'soakAlarms.0: got ""'],
  [[], '(the whole): got [], allowed is an object'],
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
