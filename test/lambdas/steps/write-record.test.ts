import {
  GetObjectCommand,
  ListObjectVersionsCommand,
  S3Client,
  type S3ClientConfig,
} from '@aws-sdk/client-s3';
import { RecoveryRecord } from '../../../lambdas/recovery-record';
import { tellChecks } from '../../../lambdas/told-checks';
import { writeRecord, type WriteRecordDeps } from '../../../lambdas/steps/write-record';
import { LIVE, NEW, PlayedMachine, Thrown, type Answer } from '../../machine/played-machine';

const INPUT = {
  mode: 'recover',
  reason: 'checkout broken | since 10:02',
  requestedBy: 'ada@example.com',
  retire: 'delete',
};

/** Asked again twice, as while RDS restores. */
const afterTwoTries: Answer = (_event, call) => {
  if (call <= 2) throw new Thrown('InstanceNotReady', 'Instance x is "creating". Hint: Wait.');
  return { instanceId: 'new', resourceId: 'db-NEW', host: 'new.example.com', port: 5432 };
};

describe('write-record', () => {
  let machine: PlayedMachine;
  let s3: S3Client;
  beforeAll(async () => {
    machine = await PlayedMachine.start();
    s3 = client();
  });
  afterAll(async () => {
    s3.destroy();
    await machine.stop();
  });

  const client = (more: S3ClientConfig = {}) =>
    new S3Client({ ...machine.served.client, forcePathStyle: true, ...more });
  const write = (executionArn: string, more: Partial<WriteRecordDeps> = {}) =>
    writeRecord(
      { executionArn },
      { stepFunctions: machine.client, environment: 'production', s3, bucket: 'records', ...more },
    );

  /** What stands in the bucket under the name that was answered. */
  async function read(location: string): Promise<string> {
    const Key = location.replace('s3://records/', '');
    const { Body } = await s3.send(new GetObjectCommand({ Bucket: 'records', Key }));
    return (await Body?.transformToString()) ?? '';
  }

  async function recordOf(executionArn: string): Promise<{ record: RecoveryRecord; page: string }> {
    const written = await write(executionArn);
    if (!written.recorded) throw new Error(written.reason);
    const text = await read(written.json);
    return { record: RecoveryRecord.parse(JSON.parse(text)), page: await read(written.page) };
  }

  test('says who, why, what was restored, when each step was, what was checked and decided, and how long it took', async () => {
    const { executionArn } = await machine.run(INPUT, { 'check-restored-instance': afterTwoTries });
    const { record, page } = await recordOf(executionArn);

    expect(record.execution).toMatchObject({
      arn: executionArn,
      status: 'SUCCEEDED',
      end: 'Recovered',
      error: null,
      redrives: 0,
    });
    expect(record).toMatchObject({
      requestedBy: 'ada@example.com',
      reason: INPUT.reason,
      restored: {
        from: 'snapshot production-database-pre-migration-build-4711-0123456789',
        oldInstance: LIVE.instanceId,
        migrationsTakenAway: ['20251208120000_drop_details'],
      },
    });
    expect(record.namedBy).toEqual([]);
    // The steps in their order, each within the time of the one before it and the one after it.
    const states = record.steps.map(({ state }) => state);
    expect(states[0]).toBe('Plan');
    expect(states).toEqual(
      expect.arrayContaining(['StartRestore', 'Fence', 'Swap', 'Prove', 'Drain', 'Retire']),
    );
    for (const { startedAt, endedAt, seconds, outcome } of record.steps) {
      expect(outcome).toBe('done');
      expect((Date.parse(endedAt ?? '') - Date.parse(startedAt)) / 1000).toBeCloseTo(seconds ?? -1, 0);
    }
    const waiting = record.steps.find(({ state }) => state === 'CheckRestoredInstance');
    expect(waiting).toMatchObject({
      calls: 3,
      problems: [{ error: 'InstanceNotReady', message: 'Instance x is "creating". Hint: Wait.', times: 2 }],
    });
    // The machine waited between the tries.
    expect(waiting?.seconds).toBeGreaterThan(3);
    // What was measured is what the steps say.
    const proven = record.steps.find(({ state }) => state === 'Prove')?.endedAt ?? '';
    const seconds = (Date.parse(proven) - Date.parse(record.execution.startedAt)) / 1000;
    expect(record.measured.recoverySeconds).toBeCloseTo(seconds, 0);
    const fenced = record.steps.find(({ state }) => state === 'Fence')?.endedAt ?? '';
    expect(record.measured.lossSeconds).toBeCloseTo(
      (Date.parse(fenced) - Date.parse(record.restored?.asOf ?? '')) / 1000,
      0,
    );
    expect(record.measured.lossSeconds).toBeGreaterThanOrEqual(7 * 60);
    expect(record.checks).toEqual([
      {
        state: 'Verify',
        name: 'writable',
        ok: true,
        detail: 'A temporary table could be made | and dropped.',
      },
      { state: 'Prove', name: 'the secret names the new instance', ok: true, detail: 'It does.' },
    ]);
    expect(record.decisions.map(({ by, what, why }) => `${by}: ${what} (${why ?? ''})`)).toEqual([
      'ada@example.com: to start mode "recover" (checkout broken | since 10:02)',
      `the machine: to go back to ${record.restored?.from ?? ''}, as of ${record.restored?.asOf ?? ''} (It is the newest one that is available.)`,
      'ada@example.com: to delete the old instance afterwards ()',
      'the machine: at RecordPosition: masterUserKnown: true, recorded: false (The master user could not log in.)',
      'the machine: to accept that AvailabilityZone is b instead of a (RDS chooses it)',
    ]);

    // The page says the same, and what people typed is no markup in it.
    expect(page).toMatch(/^# Recovery recovery-1 of production\n/);
    expect(page).toContain('| Why | checkout broken \\| since 10:02 |');
    expect(page).toMatch(/\| CheckRestoredInstance \| \d+(\.\d)? s \| 3 \| done \|/);
    expect(page).toMatch(/\| Time to recover \(RTO\) \| \d+(\.\d)? s, from the start/);
    for (const line of page.split('\n').filter((each) => each.startsWith('| Verify')))
      expect(line.split(/(?<!\\)\|/)).toHaveLength(6);
  });

  test('a failure is in it, with the first error and what was undone', async () => {
    const { executionArn } = await machine.run(INPUT, {
      prove: () => {
        throw new Thrown('ProofFailed', 'The application cannot log in. Hint: Look.');
      },
    });
    const { record, page } = await recordOf(executionArn);
    expect(record.execution).toMatchObject({ status: 'FAILED', end: 'SwappedBack', error: 'ProofFailed' });
    expect(record.measured).toMatchObject({ recoverySeconds: null, closedSeconds: null });
    expect(record.steps.filter(({ outcome }) => outcome === 'failed').map(({ state }) => state)).toEqual([
      'Prove',
    ]);
    expect(record.decisions.slice(-2).map(({ what, why }) => [what, why])).toEqual([
      ['to give up at Prove', 'ProofFailed: The application cannot log in. Hint: Look.'],
      ['at LiftFence: lifted: true', 'Its owner gave up.'],
    ]);
    expect(page).toContain('**SwappedBack** (FAILED)');
    expect(page).toContain('Error: `ProofFailed`');
  });

  test('of a verification that failed it has every check, and those that failed marked', async () => {
    const checks = [
      { name: 'writable', ok: true, severity: 'error', detail: 'It is.' },
      { name: 'unlogged tables', ok: false, severity: 'warning', detail: 'One is empty.' },
      { name: 'team: no "odd" rows.sql', ok: false, severity: 'error', detail: '7 rows\n(id): 1 | 2.' },
    ] as const;
    const fact = `1 of 3 checks of x failed: team: no "odd" rows.sql.${tellChecks(checks)}`;
    const { executionArn, cause } = await machine.run(INPUT, {
      verify: () => {
        throw new Thrown('VerificationFailed', `${fact} Hint: Choose another restore point.`);
      },
    });
    expect(cause).toContain(
      '\n- NO "team: no "odd" rows.sql": 7 rows (id): 1 | 2.\n- no, a warning "unlogged',
    );
    const { record, page } = await recordOf(executionArn);
    const [writable, unlogged, odd] = checks;
    expect(record.checks).toEqual(
      [{ ...odd, detail: '7 rows (id): 1 | 2.' }, unlogged, writable].map((each) => ({
        state: 'Verify',
        ...each,
      })),
    );
    expect(page).toContain('| Verify | team: no "odd" rows.sql | NO | 7 rows (id): 1 \\| 2. |');
    expect(page).toContain('| Verify | unlogged tables | no, a warning | One is empty. |');
    expect(page).toContain('| Verify | writable | yes | It is. |');
    // Once is enough.
    expect(page.match(/One is empty/g)).toHaveLength(1);
    expect(record.decisions.find(({ what }) => what === 'to give up at Verify')?.why).toBe(
      'VerificationFailed: 1 of 3 checks of x failed: team: no "odd" rows.sql. Hint: Choose another restore point.',
    );
  });

  test('an undo says what was taken back; one that fails gives it back, and a redrive of that goes on', async () => {
    const input = { ...INPUT, mode: 'undo', retire: 'keep' };
    const { executionArn, messages } = await machine.run(input, {
      retire: () => ({ retired: 'kept', instanceId: LIVE.instanceId, keepUntil: null }),
    });
    expect(messages.map(({ subject }) => subject)).toEqual([
      'production: undo: started',
      'production: undo: ACT NOW: restart the application',
      'production: undo: recovered',
    ]);
    expect(messages[0]?.text.split('\n').slice(2, 4)).toEqual([
      'Its migrations are those of then.',
      'Until the cutover nothing changes.',
    ]);
    expect(messages.at(-1)?.text).toContain('Its migrations are those of then, too');
    const { record, page } = await recordOf(executionArn);
    expect(record.steps.map(({ state }) => state)).toEqual(expect.arrayContaining(['TakeBack', 'Fence']));
    expect(record.steps.map(({ state }) => state)).not.toEqual(expect.arrayContaining(['Verify']));
    expect(record.restored?.from).toMatch(/^instance .*, which recovery 9876543210 had retired$/);
    expect(page).toMatch(/^# Undo recovery-/);

    const thrown =
      (name: string): Answer =>
      () => {
        throw new Thrown(name, 'No. Hint: Look.');
      };
    const early = await machine.run(input, { 'match-credentials': thrown('LoginRefused') });
    expect(early).toMatchObject({ status: 'FAILED', error: 'LoginRefused' });
    expect(early.cause).toContain('is retired again, and kept.');
    expect(early.messages.map(({ subject }) => subject)).toEqual([
      'production: undo: started',
      'production: undo: the recovery was not undone',
    ]);
    const late = await machine.run(input, {
      prove: thrown('ProofFailed'),
      'lift-fence': () => ({ lifted: true, reason: 'Open.', stillOpen: 'It does not answer.' }),
      'give-back': thrown('SecretMovedMeanwhile'),
    });
    expect(late).toMatchObject({ status: 'FAILED', error: 'ProofFailed' });
    expect(late.cause).toContain('could not be marked retired again: redrive.');
    expect(late.cause).toContain('Marking it failed with SecretMovedMeanwhile: No. Hint: Look.');
    const redriven = await machine.redrive(late.executionArn);
    expect(redriven).toMatchObject({ status: 'FAILED', error: 'ProofFailed' });
    expect(redriven.cause).toContain('DATABASE_URL named it for a while');
    expect(redriven.cause).toContain('It could not be fenced again: It does not answer.');
    expect((await recordOf(late.executionArn)).record.execution.end).toBe('NotUndone');
    // A no to the cutover deletes nothing, and asks nobody to.
    const refused = await machine.run({ ...input, approveCutover: true }, {});
    expect(refused.cause).toContain('is kept, fenced: redrive to be asked again.');
  });

  test('a rename says from where to where and for how long; one that fails behind it is redriven, forward', async () => {
    const failed = await machine.run(
      { ...INPUT, mode: 'rename' },
      {
        swap: () => {
          throw new Thrown('LoginRefused', 'The new address lets nobody in. Hint: Look.');
        },
      },
      () => 'approve',
    );
    expect(failed).toMatchObject({ status: 'FAILED', error: 'LoginRefused' });
    expect(failed.cause).toContain('There is only forward');
    const atFirst = await recordOf(failed.executionArn);
    expect(atFirst.record).toMatchObject({
      execution: { end: 'RenameNotFinished' },
      measured: { closedSeconds: null },
    });
    expect(atFirst.page).toContain(`| To be renamed | ${NEW.instanceId} to ${LIVE.instanceId}`);
    expect(await machine.redrive(failed.executionArn)).toMatchObject({ status: 'SUCCEEDED' });
    const { record, page } = await recordOf(failed.executionArn);
    expect(record.steps.map(({ state }) => state)).toEqual([
      ...['Plan', 'AskForRename', 'NotifyOutage', 'Rename', 'Swap'],
      ...['NotifyRenameNotFinished', 'RenameNotFinished', 'Rename', 'Swap', 'Prove'],
      ...['RestartConsumers', 'NotifyCutover', 'ProveConsumers', 'FinishRename', 'NotifyRenamed'],
    ]);
    expect(record).toMatchObject({
      execution: { end: 'Renamed' },
      restored: null,
      renamed: { from: NEW.instanceId, to: LIVE.instanceId },
      measured: { recoverySeconds: null, lossSeconds: null, closedSeconds: 680 },
    });
    expect(record.decisions.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['to start mode "rename"', 'rename: approved']),
    );
    expect(page).toMatch(/^# Rename recovery-/);
    expect(page).toContain(`| Renamed | ${NEW.instanceId} to ${LIVE.instanceId}, the same instance |`);
    expect(page).toContain('11 min 20 s, from the call to RDS until the application was back');
    // It recovers nothing, and nothing is lost.
    expect(page).not.toMatch(/RTO|RPO/);
  });

  test('a wrong input leaves a record, without a plan', async () => {
    const { executionArn } = await machine.run(
      { mode: 'recover', bogus: 1, reason: 'postgresql://app:s3cret@db/app is slow' },
      {
        plan: () => {
          throw new Thrown('InvalidInput', 'The input cannot be used.');
        },
      },
    );
    const { record, page } = await recordOf(executionArn);
    expect(record).toMatchObject({
      restored: null,
      requestedBy: null,
      reason: 'not shown: there is a password in it',
      execution: { end: 'PlanFailed', error: 'InvalidInput' },
    });
    expect(page).toContain('nothing: no plan could be made');
    expect(`${JSON.stringify(record)} ${page}`).not.toContain('s3cret');
  });

  test('redriven, it is written again under the same name, and what was there stays as a version', async () => {
    const { executionArn, status } = await machine.run(INPUT, {
      retire: () => {
        throw new Thrown('RetirementRefused', 'Somebody writes.');
      },
    });
    expect(status).toBe('FAILED');
    const first = await write(executionArn);
    await machine.redrive(executionArn);
    const second = await write(executionArn);
    expect(first).toMatchObject({ recorded: true, status: 'FAILED' });
    expect(second).toEqual({ ...first, status: 'SUCCEEDED' });
    const { record } = await recordOf(executionArn);
    expect(record.execution).toMatchObject({ end: 'Recovered', redrives: 1 });
    // Both tries of the step, and the end between them, which the redrive went on from.
    expect(record.steps.filter(({ state }) => state === 'Retire').map(({ outcome }) => outcome)).toEqual([
      'failed',
      'done',
    ]);
    const { Versions = [] } = await s3.send(new ListObjectVersionsCommand({ Bucket: 'records' }));
    const key = second.recorded ? second.json.replace('s3://records/', '') : '';
    expect(Versions.filter(({ Key }) => Key === key)).toHaveLength(3);
  });

  test('a history of many pages is read to its end', async () => {
    const { executionArn } = await machine.run(INPUT);
    let pages = 0;
    const unhook = machine.served.context.api.intercept(async ({ context, input }, next) => {
      if (context.operation === 'GetExecutionHistory') {
        pages++;
        input['maxResults'] = 7;
      }
      return next();
    });
    const { record } = await recordOf(executionArn);
    unhook();
    expect(pages).toBeGreaterThan(10);
    expect(record.execution.end).toBe('Recovered');
    expect(record.steps.at(-1)).toMatchObject({ state: 'NotifyRecovered', outcome: 'done' });
  });

  test('a plan leaves none', async () => {
    const { executionArn } = await machine.run({});
    expect(await write(executionArn)).toMatchObject({
      recorded: false,
      execution: expect.any(String) as string,
    });
  });

  test('what S3 refuses fails in its words; a lost answer is asked for again', async () => {
    const { executionArn } = await machine.run(INPUT);
    await expect(write(executionArn, { bucket: 'none' })).rejects.toMatchObject({ name: 'NoSuchBucket' });
    const { api } = machine.served.context;
    let failures = 0;
    const unhook = api.intercept(async ({ context }, next) => {
      const answer = await next();
      // The answer is lost after the effect, twice.
      if (context.operation === 'PutObject' && failures++ < 2) throw new Error('lost');
      return answer;
    });
    const patient = client({ maxAttempts: 3 });
    expect(await write(executionArn, { s3: patient })).toMatchObject({ recorded: true });
    patient.destroy();
    unhook();
    expect(failures).toBe(4);
  });
});
