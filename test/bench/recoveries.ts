import { PassThrough } from 'node:stream';
import {
  AddTagsToResourceCommand,
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  ModifyDBInstanceCommand,
} from '@aws-sdk/client-rds';
import { StopExecutionCommand } from '@aws-sdk/client-sfn';
import { VirtualClock } from '../../sandbox/core/clock';
import { OPERATOR } from '../../sandbox/drill/scenario';
import { Stage } from '../../sandbox/drill/stage';
import { Timeline } from '../../sandbox/drill/timeline';
import { Durations, DURATION_PROFILES } from '../../sandbox/rds/durations';
import { Sandbox } from '../../sandbox/sandbox';
import { writeMarks } from '../../lambdas/tags';
import type { Measurement } from './measurement';

/** Recoveries whose durations differ; BENCH_SEEDS asks for fewer or more. */
const SEEDS = Number(process.env['BENCH_SEEDS'] ?? 200);
/** So many go on to the end, to see what they cost; the others are stopped once the cutover is proven. */
const WHOLE = 5;
/** Above the floor, whichever is more. */
const MOST_SHARE = 0.03;
const MOST_SECONDS = 20;
/** Beyond what RDS and ECS need, which between fence and proof is nothing. */
const MOST_CUTOVER_SECONDS = 30;

/** Of AWS in Europe (Frankfurt), in dollars: a state transition, a gigabyte-second and a call of an arm64 function. */
const PRICES = { transition: 0.025 / 1000, gigabyteSecond: 0.0000133334, call: 0.2 / 1_000_000 };
/** Of every function, as lib/rollback-function.ts has it. */
const MEMORY_GB = 0.5;

interface Recovered {
  /** From the start of the execution until the secret has moved. */
  readonly toSwap: number;
  /** From the call that asks for the restore until RDS has the instance up. */
  readonly restore: number;
  readonly cutover: number;
  readonly transitions: number;
  readonly calls: number;
  readonly gigabyteSeconds: number;
}

/**
 * The synthesised machine and its real functions on real PostgreSQL, in virtual time with AWS-like durations: one recovery
 * after the other in one sandbox, each with the durations of its seed.
 */
export async function measureRecoveries(): Promise<Measurement[]> {
  const clock = new VirtualClock();
  const drawn = new Durations(DURATION_PROFILES.aws);
  const sandbox = await Sandbox.start({ clock, durations: drawn });
  try {
    const stage = await Stage.set(sandbox, new Timeline(new PassThrough().resume(), clock), 200);
    try {
      await stage.deployBadMigration('dropped-column');
      const all: Recovered[] = [];
      for (let seed = 1; seed <= SEEDS; seed++) {
        drawn.position = seed;
        all.push(await recover(stage, seed <= WHOLE ? 'to the end' : 'until proven'));
        process.stderr.write(`  seed ${seed} of ${SEEDS}\r`);
      }
      return [...speed(all), ...cost(all.slice(0, WHOLE))];
    } finally {
      await stage.leave();
    }
  } finally {
    await sandbox.stop();
  }
}

function speed(all: readonly Recovered[]): Measurement[] {
  const share = ({ toSwap, restore }: Recovered): number =>
    (toSwap - restore) / Math.max(MOST_SHARE * restore, MOST_SECONDS);
  const sorted = [...all].sort((a, b) => share(a) - share(b));
  const row = (name: string, recovered: Recovered | undefined): Measurement[] =>
    recovered
      ? [
          {
            name: `start to swap, ${name} of ${all.length}`,
            unit: 's',
            measured: recovered.toSwap,
            floor: recovered.restore,
            limit: 1 + Math.max(MOST_SHARE, MOST_SECONDS / recovered.restore),
          },
        ]
      : [];
  return [
    ...row('median', sorted[Math.floor(sorted.length / 2)]),
    ...row('worst', sorted.at(-1)),
    {
      name: `fence to proof, worst of ${all.length}`,
      unit: 's',
      measured: Math.max(...all.map(({ cutover }) => cutover)),
      limit: MOST_CUTOVER_SECONDS,
    },
  ];
}

/**
 * Of recoveries that went on to the end, the dearest. Some 200 calls, nine of ten to ask whether RDS is done: calls and transitions are the
 * same on every machine. The time is that of this one, cold starts of the first recovery included: 3 to 6 GB s here, by what else runs.
 */
function cost(all: readonly Recovered[]): Measurement[] {
  const most = (figure: (recovered: Recovered) => number): number => Math.max(...all.map(figure));
  const transitions = most((recovered) => recovered.transitions);
  const gigabyteSeconds = most((recovered) => recovered.gigabyteSeconds);
  const calls = most((recovered) => recovered.calls);
  const dollars =
    transitions * PRICES.transition + gigabyteSeconds * PRICES.gigabyteSecond + calls * PRICES.call;
  return [
    { name: 'steps of the machine in a recovery', unit: 'transitions', measured: transitions, limit: 2000 },
    { name: 'calls of its functions', unit: 'calls', measured: calls, limit: 1000 },
    { name: 'memory and time of its functions', unit: 'GB s', measured: gigabyteSeconds, limit: 400 },
    { name: 'price of both', unit: 'US cents', measured: dollars * 100, limit: 10 },
  ];
}

async function recover(stage: Stage, how: 'to the end' | 'until proven'): Promise<Recovered> {
  const { sandbox } = stage;
  const { clock, api } = sandbox.context;
  const { stepFunctions } = sandbox.clients();
  const old = await stage.live();
  const seen = { asked: 0, entered: 0, tries: 0, retries: 0, calls: 0, gigabyteSeconds: 0 };
  const unhooks = [
    api.intercept(({ context }, next) => {
      if (context.operation.startsWith('RestoreDBInstance')) seen.asked = clock.now().getTime();
      return next();
    }),
    sandbox.stepFunctions.onHistoryEvent((executionArn, event) => {
      if (event.type === 'TaskScheduled') seen.tries++;
      if (event.stateEnteredEventDetails) seen.entered++;
      if (event.type === 'TaskStateEntered') seen.retries--;
      if (how === 'until proven' && event.stateEnteredEventDetails?.name === 'Drain')
        void stepFunctions.send(new StopExecutionCommand({ executionArn }));
    }),
    sandbox.lambda.onInvocation(({ durationMs }) => {
      seen.calls++;
      seen.gigabyteSeconds += (durationMs / 1000) * MEMORY_GB;
    }),
  ];
  const run = await stage.recover({
    mode: 'recover',
    restore: { to: 'latest-pre-migration-snapshot' },
    ...OPERATOR,
  });
  for (const unhook of unhooks) unhook();
  if (run.status !== (how === 'to the end' ? 'SUCCEEDED' : 'ABORTED'))
    throw new Error(`A recovery ended ${run.status}: ${run.error ?? ''}: ${run.cause ?? ''}`);
  const live = await stage.live();
  const up = await stage.eventOf(live.instance, 'DB instance created');
  const [fence, swap, prove] = ['Fence', 'Swap', 'Prove'].map((name) => {
    const state = run.states.find((one) => one.name === name);
    const from = state?.enteredAt.getTime() ?? Number.NaN;
    return { from, to: from + (state?.milliseconds ?? Number.NaN) };
  });
  // As Retire does: an instance that its recovery has not finished is no model for the next one.
  await sandbox.clients().rds.send(
    new AddTagsToResourceCommand({
      ResourceName: live.instance.DBInstanceArn,
      Tags: writeMarks({ role: 'live' }),
    }),
  );
  await tidy(stage, old.instance.DBInstanceIdentifier ?? '');
  return {
    toSwap: ((swap?.to ?? Number.NaN) - run.startedAt.getTime()) / 1000,
    restore: ((up?.getTime() ?? Number.NaN) - seen.asked) / 1000,
    cutover: ((prove?.to ?? Number.NaN) - (fence?.from ?? Number.NaN)) / 1000,
    // Every try after the first of a state counts as a transition, too.
    transitions: seen.entered + seen.tries + seen.retries,
    calls: seen.calls,
    gigabyteSeconds: seen.gigabyteSeconds,
  };
}

/** The old instance goes, and the snapshots of the recovery: there is room for 100. */
async function tidy(stage: Stage, old: string): Promise<void> {
  const { rds } = stage.sandbox.clients();
  const { clock } = stage.sandbox.context;
  const status = async (): Promise<string | undefined> => (await stage.instance(old))?.DBInstanceStatus;
  while (!['available', undefined].includes(await status())) await clock.sleep(60_000);
  if ((await status()) !== undefined) {
    const DBInstanceIdentifier = old;
    await rds.send(
      new ModifyDBInstanceCommand({
        DBInstanceIdentifier,
        DeletionProtection: false,
        ApplyImmediately: true,
      }),
    );
    await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier, SkipFinalSnapshot: true }));
    while ((await status()) !== undefined) await clock.sleep(60_000);
  }
  for (const { DBSnapshotIdentifier = '' } of await stage.snapshots())
    if (/-(safety|final)-/.test(DBSnapshotIdentifier))
      await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier }));
}
