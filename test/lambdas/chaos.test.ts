import {
  DeleteDBInstanceCommand,
  DescribeDBSnapshotsCommand,
  ModifyDBInstanceCommand,
} from '@aws-sdk/client-rds';
import type { FunctionName } from '../../lambdas/contract/functions';
import type { Recovery } from '../../lambdas/contract/recovery';
import { LoginRefused } from '../../lambdas/errors';
import { findLiveInstance } from '../../lambdas/live-instance';
import { planRename } from '../../lambdas/plan-rename';
import { listInstances } from '../../lambdas/rds';
import { readMarks } from '../../lambdas/tags';
import type { Fired } from '../../sandbox/faults/faults';
import type { FaultPlanInput } from '../../sandbox/faults/plan';
import { carryOut, carryOutRename, type Ending, type Guide } from './steps/carry-out';
import { Functions, STEPS } from './steps/functions';
import { Lab, migrationTable } from './steps/lab';
import { until } from '../until';

/**
 * Whole recoveries, each renamed afterwards, one after the other on the same database, while every API call that the steps make fails in
 * one of the ways in which calls fail, and functions die between any two of them. After each, the design's invariants hold.
 *
 * CHAOS_CASES=200 adds that many recoveries with one fault each, at call after call.
 */

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql(migrationTable);
  await migrate('1_start');
  await lab.sql('create table task (id int primary key)');
  await lab.sql('insert into task values (1), (2)');
  await lab.snapshot('run-1', '2_bad');
});
afterAll(() => lab.stop());

const migrate = (name: string): Promise<unknown> =>
  lab.sql(
    `insert into _prisma_migrations (id, checksum, finished_at, migration_name) values ('${name}', 'x', now(), '${name}')`,
  );

/** The bad migration, unless it is there (after a recovery that was given up). */
async function harm(): Promise<void> {
  const [found] = await lab.sql(`select 1 from _prisma_migrations where migration_name = '2_bad'`);
  if (found) return;
  await lab.sql('drop table task');
  await migrate('2_bad');
}

type FaultInput = NonNullable<FaultPlanInput['faults']>[number];

/** How often the SDK's clients try a call. */
const SDK_TRIES = 3;
const WRITING_CALLS = [
  'rds:RestoreDBInstanceFromDBSnapshot',
  'rds:ModifyDBInstance',
  'rds:RebootDBInstance',
  'rds:DeleteDBInstance',
  'rds:AddTagsToResource',
  'rds:RemoveTagsFromResource',
  'rds:CreateDBSnapshot',
  'secretsmanager:PutSecretValue',
  'secretsmanager:UpdateSecretVersionStage',
];

const LOST = { fault: 'error', code: 'InternalFailure', message: 'Try again.', when: 'after' } as const;

/**
 * Every call of the steps fails the first time that it is made. Functions die at reading calls too; that the SDK asks again
 * for what it reads needs no proof, and its pauses would make the test slow.
 */
const EVERY_CALL_ONCE = {
  'killed before': [{ fault: 'kill', when: 'before', at: { operation: '*', by: STEPS, each: 1 } }],
  'killed after': [{ fault: 'kill', when: 'after', at: { operation: '*', by: STEPS, each: 1 } }],
  // It takes effect, and the SDK tries again. With a 5xx instead of a broken connection, which no SDK knows for what it is in
  // the realm of its own that jest gives a test.
  'not answered': WRITING_CALLS.map((operation) => ({
    ...LOST,
    at: { operation, by: STEPS, each: 1 },
  })),
  // The same, and none of the SDK's tries gets an answer.
  'in an outage': WRITING_CALLS.map((operation) => ({
    ...LOST,
    at: { operation, by: STEPS, each: SDK_TRIES },
  })),
  throttled: WRITING_CALLS.map((operation) => ({
    fault: 'throttling' as const,
    at: { operation, by: STEPS, each: 1 },
  })),
} satisfies Record<string, FaultInput[]>;

/** The steps between raising the fence and moving the secret, or lifting it. */
const BEHIND_FENCE = new Set<FunctionName>(['fence', 'swap', 'swap-back', 'lift-fence']);

let number = 0;

async function recoverWith(
  faults: FaultInput[],
  tell: NonNullable<Guide['tell']> = (_step, recovery) => recovery,
): Promise<{ recovery: Recovery; ending: Ending; fired: readonly Fired[]; calls: number }> {
  await harm();
  const recovery = await lab.planned({}, `chaos-${++number}`);
  const functions = new Functions(lab);
  let calls = 0;
  const stopCounting = lab.sandbox.context.api.intercept(({ context }, next) => {
    if (context.caller.functionName !== undefined) calls++;
    return next();
  });
  lab.sandbox.faults.follow({ faults });
  try {
    const around: Guide['around'] = async (step, call) => {
      const answer = await functions.around(step, call);
      // At every moment the secret names a database that is up and lets the application in.
      // But for the moment behind the fence.
      await lab.sql('select 1').catch((error: unknown) => {
        if (!(BEHIND_FENCE.has(step) && error instanceof LoginRefused)) throw error;
      });
      return answer;
    };
    const ending = await carryOut(lab, recovery, { around, tell });
    return { recovery, ending, fired: lab.sandbox.faults.fired(), calls };
  } finally {
    lab.sandbox.faults.follow({});
    stopCounting();
    functions.end();
  }
}

/** Told that a migration of the restored database must be absent, a step finds its check failed. */
const contradict = (recovery: Recovery): Recovery => ({
  ...recovery,
  restorePoint: { kind: 'snapshot', snapshotId: '', databaseTime: '', pendingMigrations: ['1_start'] },
});

async function expectRecovered({ recovery, ending }: { recovery: Recovery; ending: Ending }): Promise<void> {
  expect(ending).toMatchObject({ state: 'Recovered' });
  const live = await findLiveInstance(lab.rds, lab.secrets, lab.databaseUrlSecretId);
  expect(live.instance).toMatchObject({
    DBInstanceIdentifier: recovery.recoveryInstanceId,
    DBInstanceStatus: 'available',
    DeletionProtection: true,
  });
  expect(readMarks(live.instance.TagList).role).toBe('live');
  expect(await lab.sql('select id from task order by id')).toEqual([{ id: 1 }, { id: 2 }]);
  expect((await listInstances(lab.rds)).map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)).toEqual([
    recovery.recoveryInstanceId,
  ]);
  const { DBSnapshots } = await lab.rds.send(
    new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: recovery.finalSnapshotId }),
  );
  expect(DBSnapshots?.[0]).toMatchObject({ Status: 'available', DbiResourceId: recovery.live.resourceId });
  expect(readMarks(DBSnapshots?.[0]?.TagList)).toMatchObject({ role: 'final', 'recovery-id': recovery.id });
}

/** The live instance gets its old name back, and nothing else changes. */
async function renameWith(faults: FaultInput[]): Promise<readonly Fired[]> {
  const find = () => findLiveInstance(lab.rds, lab.secrets, lab.databaseUrlSecretId);
  const before = await until(find, ({ instance }) => instance.DBInstanceStatus === 'available');
  const input = { mode: 'rename', reason: 'a test', requestedBy: 'jest' };
  const { recovery } = await planRename({ execution: await lab.execution('rename'), input }, lab);
  const functions = new Functions(lab);
  lab.sandbox.faults.follow({ faults });
  let fired: readonly Fired[];
  try {
    const { snapshot } = await carryOutRename(lab, recovery, { around: functions.around });
    expect(snapshot).toEqual({ taken: true, snapshotId: recovery.safetySnapshotId });
    fired = lab.sandbox.faults.fired();
  } finally {
    lab.sandbox.faults.follow({});
    functions.end();
  }
  const { address, instances, instance } = await find();
  expect(address).toMatchObject({ instanceId: 'orders', resourceId: before.address.resourceId });
  expect(address.host).not.toBe(before.address.host);
  expect(instances).toHaveLength(1);
  expect(readMarks(instance.TagList)).toEqual(readMarks(before.instance.TagList));
  expect(await lab.sql('select id from task order by id')).toEqual([{ id: 1 }, { id: 2 }]);
  const { DBSnapshots } = await lab.rds.send(
    new DescribeDBSnapshotsCommand({ DBSnapshotIdentifier: recovery.safetySnapshotId }),
  );
  expect(DBSnapshots).toMatchObject([{ DBInstanceIdentifier: 'orders', DbiResourceId: address.resourceId }]);
  return fired;
}

/** The old instance is live as before; `kept` is what else there is. */
async function expectUnchanged(recovery: Recovery, kept: string[]): Promise<void> {
  const live = await findLiveInstance(lab.rds, lab.secrets, lab.databaseUrlSecretId);
  expect(live.secretVersionId).toBe(recovery.secretVersionId);
  expect(live.instance).toMatchObject({
    DbiResourceId: recovery.live.resourceId,
    DBInstanceStatus: 'available',
    DeletionProtection: true,
  });
  const ids = (await listInstances(lab.rds)).map(({ DBInstanceIdentifier }) => DBInstanceIdentifier);
  expect(ids.sort()).toEqual([recovery.live.instanceId, ...kept].sort());
}

async function remove(instanceId: string): Promise<void> {
  const change = { DBInstanceIdentifier: instanceId, DeletionProtection: false, ApplyImmediately: true };
  await lab.rds.send(new ModifyDBInstanceCommand(change));
  await until(
    () => lab.instance(instanceId),
    (instance) => instance?.DBInstanceStatus === 'available',
  );
  await lab.rds.send(
    new DeleteDBInstanceCommand({ DBInstanceIdentifier: instanceId, SkipFinalSnapshot: true }),
  );
  await until(
    () => lab.instance(instanceId),
    (instance) => instance === undefined,
  );
}

const kinds = ['killed before', 'killed after', 'not answered', 'in an outage', 'throttled'] as const;

test.each(kinds)('a recovery, then a rename, in which every call was %s once', async (kind) => {
  const run = await recoverWith(EVERY_CALL_ONCE[kind]);
  await expectRecovered(run);
  const failed = new Set(run.fired.map(({ operation }) => operation));
  expect([...failed]).toEqual(
    expect.arrayContaining([
      'rds:RestoreDBInstanceFromDBSnapshot',
      'secretsmanager:PutSecretValue',
      'secretsmanager:UpdateSecretVersionStage',
      'rds:DeleteDBInstance',
    ]),
  );
  const inRename = new Set((await renameWith(EVERY_CALL_ONCE[kind])).map(({ operation }) => operation));
  expect([...inRename]).toEqual(
    expect.arrayContaining([
      'rds:AddTagsToResource',
      'rds:ModifyDBInstance',
      'secretsmanager:UpdateSecretVersionStage',
      'rds:CreateDBSnapshot',
      'rds:RemoveTagsFromResource',
    ]),
  );
});

test.each(['killed after', 'in an outage'] as const)(
  'a failed verification, every call %s once: the recovery instance goes, nothing else changes',
  async (kind) => {
    const { recovery, ending } = await recoverWith(EVERY_CALL_ONCE[kind], (step, planned) =>
      step === 'verify' ? contradict(planned) : planned,
    );
    expect(ending).toMatchObject({ state: 'RecoveryFailed', error: 'VerificationFailed' });
    await expectUnchanged(recovery, []);
  },
);

test.each(['killed after', 'in an outage'] as const)(
  'a failed proof, every call %s once: swapped back to the very version, both instances kept',
  async (kind) => {
    const { recovery, ending } = await recoverWith(EVERY_CALL_ONCE[kind], (step, planned) =>
      step === 'prove' ? contradict(planned) : planned,
    );
    expect(ending).toMatchObject({ state: 'SwappedBack', error: 'ProofFailed' });
    await expectUnchanged(recovery, [recovery.recoveryInstanceId]);
    await remove(recovery.recoveryInstanceId);
  },
);

/** One fault at one call, of whatever operation. */
const AT_ONE_CALL: readonly ((call: number) => FaultInput)[] = [
  (call) => ({ fault: 'kill', when: 'before', at: { operation: '*', by: STEPS, call } }),
  (call) => ({ fault: 'kill', when: 'after', at: { operation: '*', by: STEPS, call } }),
  (call) => ({ ...LOST, at: { operation: '*', by: STEPS, call } }),
  (call) => ({ fault: 'throttling', at: { operation: '*', by: STEPS, call } }),
];

const more = Number(process.env['CHAOS_CASES'] ?? 0);
if (more > 0)
  test(
    `${more} recoveries with one fault each`,
    async () => {
      let length = 1;
      for (let index = 0; index < more; index++) {
        const call = 1 + (Math.floor(index / AT_ONE_CALL.length) % length);
        const fault = AT_ONE_CALL[index % AT_ONE_CALL.length];
        const run = await recoverWith(fault ? [fault(call)] : []);
        length = Math.max(length, run.calls);
        await expectRecovered(run);
      }
    },
    (1 + more) * 60_000,
  );
