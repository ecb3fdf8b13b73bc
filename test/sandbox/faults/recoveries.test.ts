import { PassThrough } from 'node:stream';
import {
  CreateDBSnapshotCommand,
  DeleteDBInstanceCommand,
  ModifyDBInstanceCommand,
} from '@aws-sdk/client-rds';
import type { Check } from '../../../lambdas/contract/checks';
import { VirtualClock } from '../../../sandbox/core/clock';
import { safeEnd } from '../../../sandbox/drill/safe-end';
import { SCENARIOS } from '../../../sandbox/drill/scenarios';
import { noPasswordIsLeft } from '../../../sandbox/drill/secrecy';
import { Stage } from '../../../sandbox/drill/stage';
import { Timeline } from '../../../sandbox/drill/timeline';
import type { Fault, FaultPlanInput } from '../../../sandbox/faults/plan';
import { durations } from '../../../sandbox/rds/durations';
import { badMigration } from '../../../sandbox/sample-app/bad-migrations';
import { Sandbox } from '../../../sandbox/sandbox';
import type { DatabaseDigest } from '../../../sandbox/sample-app/digest';

/**
 * Recoveries of the sample app by the machine as it is synthesised and by its functions as processes, one after the other in
 * one sandbox, while calls fail, answers are lost and functions die. After each, the design's invariants hold.
 *
 * FAULT_SWEEP=100 adds that many recoveries with one fault each, at calls and of kinds drawn by FAULT_SWEEP_SEED.
 */
// The spinner of a terminal: an ES module, which jest cannot load, and not used where there is no terminal.
jest.mock('ora', () => ({}));

type FaultInput = NonNullable<FaultPlanInput['faults']>[number];

const clock = new VirtualClock();
const BAD = 'dropped-column';
const [scenario] = SCENARIOS;
let sandbox: Sandbox;
let stage: Stage;
let before: DatabaseDigest;

// GIVEN the production stacks with a small sample app, and a snapshot as CI takes it before the bad migration
beforeAll(async () => {
  sandbox = await Sandbox.start({ clock, durations: durations('aws', 1) });
  try {
    stage = await Stage.set(sandbox, new Timeline(new PassThrough().resume(), clock), 200);
  } catch (error) {
    await sandbox.stop();
    throw error;
  }
  before = await stage.digest();
  await stage.deployBadMigration(BAD);
});

afterAll(async () => {
  await stage.leave();
  await sandbox.stop();
});

interface Rehearsal {
  readonly status: string;
  readonly error: string | undefined;
  readonly checks: readonly Check[];
  readonly unfired: readonly Fault[];
}

/**
 * Recovers from the bad migration while this goes wrong, and looks at everything afterwards.
 *
 * @param backingUp whether RDS backs up the live instance while it is looked at
 */
async function rehearse(
  faults: readonly FaultInput[],
  { backingUp = false }: { backingUp?: boolean } = {},
): Promise<Rehearsal> {
  // A recovery that succeeded took the bad migration away.
  if (!(await stage.recordedMigrations()).includes(badMigration(BAD).migrationName)) await stage.migrate();
  const liveBefore = await stage.live();
  sandbox.faults.follow({ faults: [...faults] });
  const run = await stage.recover({
    mode: 'recover',
    restore: { to: 'latest-pre-migration-snapshot' },
    reason: 'a rehearsal',
    requestedBy: 'jest',
  });
  const endBackup = backingUp ? await beginBackup() : () => undefined;
  const outcome = { before, liveBefore, run, after: await stage.digest() };
  const checks = [
    ...(run.status === 'SUCCEEDED'
      ? ((await scenario?.check(stage, outcome)) ?? [])
      : await safeEnd(stage, outcome)),
    await noPasswordIsLeft(stage, run),
  ];
  endBackup();
  const unfired = sandbox.faults.unfired();
  sandbox.faults.follow({});
  await cleanUp();
  return { status: run.status, error: run.error, checks, unfired };
}

/** RDS backs up the live instance, which is up meanwhile, until the function is called that this returns: no time passes. */
async function beginBackup(): Promise<() => void> {
  const { DBInstanceIdentifier = '' } = (await stage.live()).instance;
  const release = clock.hold();
  await sandbox.clients().rds.send(
    new CreateDBSnapshotCommand({
      DBInstanceIdentifier,
      DBSnapshotIdentifier: `${DBInstanceIdentifier}-${clock.now().getTime()}`,
    }),
  );
  expect((await stage.live()).instance.DBInstanceStatus).toBe('backing-up');
  return release;
}

/** What people do after a recovery that failed: the instance that nothing uses goes. */
async function cleanUp(): Promise<void> {
  const { rds } = sandbox.clients();
  const live = await stage.live();
  for (const { DBInstanceIdentifier, DbiResourceId } of await stage.instances()) {
    if (DbiResourceId === live.instance.DbiResourceId) continue;
    const status = async () => (await stage.instance(DBInstanceIdentifier ?? ''))?.DBInstanceStatus;
    // Something that it was told before may still be under way.
    while (!['available', 'deleting', undefined].includes(await status())) await clock.sleep(60_000);
    if ((await status()) === 'available') {
      await rds.send(
        new ModifyDBInstanceCommand({
          DBInstanceIdentifier,
          DeletionProtection: false,
          ApplyImmediately: true,
        }),
      );
      await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier, SkipFinalSnapshot: true }));
    }
    while ((await status()) !== undefined) await clock.sleep(60_000);
  }
}

const failedChecks = ({ checks }: Rehearsal): Check[] => checks.filter(({ ok }) => !ok);

const invoked = (step: string) => ({
  operation: 'lambda:Invoke',
  with: { FunctionName: `*:production-${step}` },
});
const by = (step: string, operation: string) => ({ operation, by: `production-${step}` });

test('functions die, answers are lost, calls are throttled in every step: the recovery succeeds', async () => {
  const rehearsal = await rehearse([
    { fault: 'lost answer', at: by('plan', 'rds:DescribeDBInstances') },
    { fault: 'kill', when: 'after', at: by('start-restore', 'rds:RestoreDBInstanceFromDBSnapshot') },
    { fault: 'kill', when: 'before', at: by('record-position', 'secretsmanager:GetSecretValue') },
    { fault: 'time out', when: 'after', at: by('match-settings', 'rds:DescribeDBInstances') },
    { fault: 'time out', when: 'after', at: by('finish-settings', 'rds:ModifyDBInstance') },
    { fault: 'kill', when: 'after', at: by('finish-settings', 'rds:AddTagsToResource') },
    { fault: 'throttling', at: { ...invoked('verify'), every: 1, times: 2 } },
    { fault: 'kill', when: 'after', at: by('swap', 'secretsmanager:PutSecretValue') },
    { fault: 'lost answer', at: by('swap', 'secretsmanager:UpdateSecretVersionStage') },
    { fault: 'lost answer', at: invoked('prove') },
    { fault: 'time out', when: 'before', at: by('drain', 'secretsmanager:GetSecretValue') },
    { fault: 'kill', when: 'after', at: by('retire', 'rds:DeleteDBInstance') },
    { fault: 'throttling', at: { operation: 'sns:Publish' } },
  ]);
  expect(failedChecks(rehearsal)).toEqual([]);
  expect(rehearsal).toMatchObject({ status: 'SUCCEEDED', unfired: [] });
});

test.each<[string, string, FaultInput[]]>([
  [
    'the restore ends in a status that it does not leave',
    'RestoreFailed',
    [
      {
        fault: 'failed status',
        status: 'incompatible-restore',
        at: by('start-restore', 'rds:RestoreDBInstanceFromDBSnapshot'),
      },
      { fault: 'kill', when: 'after', at: by('discard', 'rds:DeleteDBInstance') },
    ],
  ],
  [
    'the proof cannot be made',
    'Unexpected',
    [
      {
        fault: 'error',
        code: 'DecryptionFailure',
        message: 'Secrets Manager can’t decrypt the protected secret text using the provided KMS key.',
        at: { ...by('prove', 'secretsmanager:GetSecretValue'), every: 1 },
      },
    ],
  ],
])('%s: the recovery fails and leaves everything safe', async (_what, error, faults) => {
  const rehearsal = await rehearse(faults, { backingUp: true });
  expect(failedChecks(rehearsal)).toEqual([]);
  expect(rehearsal).toMatchObject({ status: 'FAILED', error, unfired: [] });
});

const sweep = Number(process.env['FAULT_SWEEP'] ?? 0);
if (sweep > 0) {
  /** The same numbers from 0 to 1 for the same seed (mulberry32). */
  const random = (seed: number) => (): number => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };

  test(
    `${sweep} recoveries with one fault each`,
    async () => {
      const next = random(Number(process.env['FAULT_SWEEP_SEED'] ?? 1));
      const pick = <T>(list: readonly T[]): T | undefined => list[Math.floor(next() * list.length)];
      // Which function makes which calls, and how many, in a recovery in which nothing goes wrong.
      const calls = new Map<string, number>();
      const stopCounting = sandbox.context.api.intercept(({ context }, go) => {
        const { caller, service, operation } = context;
        if (caller.functionName !== undefined) {
          const key = `${caller.functionName} ${service}:${operation}`;
          calls.set(key, (calls.get(key) ?? 0) + 1);
        }
        return go();
      });
      expect(failedChecks(await rehearse([]))).toEqual([]);
      stopCounting();
      const failures: object[] = [];
      for (let index = 0; index < sweep; index++) {
        const [caller = '', count = 1] = pick([...calls]) ?? [];
        const [name, operation = ''] = caller.split(' ');
        const once = { operation, by: name ?? '', call: 1 + Math.floor(next() * Math.min(count, 6)) };
        const always = { operation, by: name ?? '', every: 1 };
        const fault = pick<FaultInput>([
          { fault: 'kill', when: 'before', at: once },
          { fault: 'kill', when: 'after', at: once },
          { fault: 'time out', when: 'before', at: once },
          { fault: 'time out', when: 'after', at: once },
          { fault: 'lost answer', at: once },
          { fault: 'throttling', at: once },
          {
            fault: 'error',
            code: 'InternalFailure',
            message: '…',
            when: 'after',
            at: { ...always, times: 8 },
          },
          { fault: 'error', code: 'AccessDeniedException', message: 'no', at: always },
          { fault: 'kill', when: 'after', at: always },
        ]);
        const faults = fault ? [fault] : [];
        const began = Date.now();
        try {
          const rehearsal = await rehearse(faults);
          const { status, error } = rehearsal;
          const failed = failedChecks(rehearsal);
          if (failed.length > 0) failures.push({ fault, status, error, failed });
          process.stderr.write(
            `${index + 1} ${failed.length === 0 ? 'ok' : 'BAD'} ${status} ${error ?? ''} ${Date.now() - began} ms ${JSON.stringify(fault)} ${JSON.stringify(failed)}\n`,
          );
        } catch (error) {
          failures.push({ fault, error: String(error) });
          process.stderr.write(`${index + 1} THROWN ${String(error)} ${JSON.stringify(fault)}\n`);
          sandbox.faults.follow({});
          await cleanUp();
        }
      }
      expect(failures).toEqual([]);
    },
    (1 + sweep) * 60_000,
  );
}
