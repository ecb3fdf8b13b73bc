import { join } from 'node:path';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import { ApiError } from '../../sandbox/core/api';
import { VirtualClock } from '../../sandbox/core/clock';
import { durations } from '../../sandbox/rds/durations';
import { Sandbox } from '../../sandbox/sandbox';
import { synthesise } from '../../sandbox/synthesise';

/** The alarms around snapshots, in the production stacks as they are: each is made to ring, and people hear it. */
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ATTENTION = 'production-snapshots-need-attention';

let sandbox: Sandbox;
const clock = new VirtualClock();
beforeAll(async () => {
  sandbox = await Sandbox.start({ clock, durations: durations('quick') });
  const assembly = join(sandbox.context.directory, 'assembly');
  await synthesise(assembly, ['production']);
  await sandbox.deploy(assembly, ['Production-Database', 'Production-Rollback']);
  // The schedules are due in the night and in the morning, whenever this is run.
  const noon = (12 * HOUR - (clock.now().getTime() % (24 * HOUR)) + 24 * HOUR) % (24 * HOUR);
  await pass(noon);
});
afterAll(() => sandbox.stop());

/** How often the topic has said that an alarm rings. */
const rung = (alarm: string): number =>
  sandbox.sns.messages.filter(({ subject }) => subject?.includes(`ALARM: "${alarm}"`)).length;
const deadLetters = (): string[] =>
  sandbox.sqs
    .inspect()
    .find(({ name }) => name === 'production-snapshot-dead-letters')
    ?.messages.map(({ body }) => body) ?? [];
const purge = () =>
  sandbox.context.api.call(
    'sqs',
    'PurgeQueue',
    { QueueUrl: `${sandbox.context.endpoint}/123456789012/production-snapshot-dead-letters` },
    sandbox.context.callers.administrator(),
  );

/** Lets time pass in steps: the clock stands still while functions run, so that schedules find time to be carried out. */
async function pass(milliseconds: number): Promise<void> {
  const end = clock.now().getTime() + milliseconds;
  while (clock.now().getTime() < end) await clock.sleep(15 * MINUTE);
}

/** While `work` goes on an operation of RDS fails. */
async function failing(operation: string, error: ApiError, work: () => Promise<void>): Promise<void> {
  const end = sandbox.context.api.intercept(({ context }, next) =>
    context.operation === operation ? Promise.reject(error) : next(),
  );
  try {
    await work();
  } finally {
    end();
  }
}

test('nothing rings while all is well, also before the first snapshot', async () => {
  await pass(30 * HOUR);
  expect(sandbox.sns.messages).toEqual([]);
  expect(deadLetters()).toEqual([]);
});

test('a call of the gate that fails', async () => {
  await failing('DescribeDBInstances', new ApiError('AccessDenied', 'not today', 403), async () => {
    const { FunctionError } = await sandbox.clients().lambda.send(
      new InvokeCommand({
        FunctionName: 'production-pre-migration-snapshot',
        Payload: JSON.stringify({ deploymentId: 'x' }),
      }),
    );
    expect(FunctionError).toBe('Unhandled');
  });
  await pass(10 * MINUTE);
  expect(rung('production-pre-migration-snapshot-errors')).toBe(1);
});

test('a scheduled snapshot that fails at every try: the queue is not empty', async () => {
  await failing('CreateDBSnapshot', new ApiError('KMSKeyNotAccessibleFault', 'no key', 400), async () => {
    await pass(24 * HOUR);
  });
  expect(rung(ATTENTION)).toBe(1);
  expect(deadLetters().join()).toContain('KMSKeyNotAccessibleFault');
  // Mended, and the queue is purged: the alarm ends.
  await purge();
  await pass(HOUR);
});

test('the newest good snapshot is older than the table allows, although nothing failed', async () => {
  const before = rung(ATTENTION);
  const busy = new ApiError('InvalidDBInstanceState', 'The instance is modifying.');
  await failing('CreateDBSnapshot', busy, () => pass(48 * HOUR));
  expect(rung(ATTENTION)).toBe(before + 1);
  expect(deadLetters().join()).toContain('RetentionWarning');
  expect(deadLetters().join()).toContain('hours old');
});
