import { PutSecretValueCommand, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  RedriveExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import type { Recovery } from '../../lambdas/contract/recovery';
import { readLogin } from '../../lambdas/database-url';
import { findLiveInstance } from '../../lambdas/live-instance';
import { canLogIn } from '../../lambdas/postgres';
import { CLAIM_LABEL } from '../../lambdas/claim';
import { refuseBesideCutOff } from '../../lambdas/cut-off';
import { requireClaim } from '../../lambdas/overtaken';
import { findRunningRecovery } from '../../lambdas/recovery-claim';
import { currentSecret, findSecretVersion } from '../../lambdas/secrets';
import { fence } from '../../lambdas/steps/fence';
import { finishSettings } from '../../lambdas/steps/finish-settings';
import { drain } from '../../lambdas/steps/drain';
import { prove } from '../../lambdas/steps/prove';
import { proveConsumers } from '../../lambdas/steps/prove-consumers';
import { retire } from '../../lambdas/steps/retire';
import { startRestore } from '../../lambdas/steps/start-restore';
import { swap } from '../../lambdas/steps/swap';
import { swapBack } from '../../lambdas/steps/swap-back';
import { swapVersionId } from '../../lambdas/swap-version';
import { takeClaim } from '../../lambdas/take-claim';
import { carryOut } from './steps/carry-out';
import { Lab, migrationTable } from './steps/lab';
import { until as eventually } from '../until';

/** At most one recovery of one database runs. The executions are real ones, of a machine that only waits. */
let lab: Lab;
let machine: string;
beforeAll(async () => {
  lab = await Lab.start();
  machine = await lab.machineThatRuns('running');
  await lab.sql(migrationTable);
  await lab.snapshot('run-1', '2_bad');
});
afterAll(() => lab.stop());

/** jest's matcher is typed `any`. */
const containing = (text: string): unknown => expect.stringContaining(text);
/** A recovery that was planned by an execution that runs. Another one that runs must not have the claim yet. */
const running = (requestedBy: string): Promise<Recovery> =>
  lab.planned({ requestedBy }, requestedBy.split('@')[0], machine);
const stop = ({ execution }: Recovery): Promise<unknown> =>
  lab.stepFunctions.send(new StopExecutionCommand({ executionArn: execution.arn }));
/** The same recovery, as after StopExecution and RedriveExecution: an execution that runs again. */
async function redriven(recovery: Recovery): Promise<Recovery> {
  const { arn } = await lab.execution('again', machine);
  return { ...recovery, execution: { ...recovery.execution, arn } };
}
const holder = async (): Promise<string | undefined> => (await findRunningRecovery(lab))?.recoveryId;
const takeOffClaim = async (): Promise<void> => {
  const version = await findSecretVersion(lab.secrets, lab.databaseUrlSecretId, { stage: CLAIM_LABEL });
  if (version)
    await lab.secrets.send(
      new UpdateSecretVersionStageCommand({
        SecretId: lab.databaseUrlSecretId,
        VersionStage: CLAIM_LABEL,
        RemoveFromVersionId: version.versionId,
      }),
    );
};

/** Holds every attempt to move the claim until there are as many, then lets them through one after the other. */
function atTheSameInstant(attempts: number, order: (versionIds: string[]) => string[]): () => void {
  const waiting = new Map<string, () => void>();
  let turn: Promise<unknown> = Promise.resolve();
  return lab.sandbox.context.api.intercept(async ({ context, input }, next) => {
    if (context.operation !== 'UpdateSecretVersionStage' || input['VersionStage'] !== CLAIM_LABEL)
      return next();
    const versionId = String(input['MoveToVersionId']);
    await new Promise<void>((resolve) => {
      waiting.set(versionId, resolve);
      if (waiting.size === attempts) for (const id of order([...waiting.keys()])) waiting.get(id)?.();
    });
    const result = turn.then(next);
    turn = result.catch(() => undefined);
    return result;
  });
}

describe('of recoveries that claim the database at the same instant', () => {
  const orders = {
    'the first to ask moves first': (ids: string[]) => ids,
    'the last to ask moves first': (ids: string[]) => [...ids].reverse(),
  };
  const befores = {
    'nobody ever had': () => takeOffClaim(),
    'one had that was stopped': async () => {
      await takeOffClaim();
      const stopped = await running('old@example.com');
      await takeClaim(stopped, lab);
      await stop(stopped);
    },
  };
  for (const [before, prepare] of Object.entries(befores))
    for (const [name, order] of Object.entries(orders))
      test(`one gets what ${before}, and the others name it: ${name}`, async () => {
        await prepare();
        const recoveries = [
          await running('ada@example.com'),
          await running('bob@example.com'),
          await running('cy@example.com'),
        ];
        const letThrough = atTheSameInstant(3, order);
        const outcomes = await Promise.allSettled(recoveries.map((recovery) => takeClaim(recovery, lab)));
        letThrough();
        const winners = recoveries.filter((_, index) => outcomes[index]?.status === 'fulfilled');
        expect(winners).toHaveLength(1);
        const [winner] = winners;
        expect(await holder()).toBe(winner?.id);
        const refused = outcomes.flatMap((outcome) =>
          outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
        );
        expect(refused).toHaveLength(2);
        for (const reason of refused) {
          expect(reason).toMatchObject({
            name: 'RecoveryAlreadyRunning',
            message: containing(winner?.requestedBy ?? '?'),
          });
          expect(reason).toMatchObject({ message: containing(winner?.execution.startTime ?? '?') });
          expect(reason).toMatchObject({
            message: containing(winner?.execution.arn.split(':').at(-1) ?? '?'),
          });
        }
        await Promise.all(recoveries.map(stop));
      });
});

test('a claim whose answer was lost is there, once; the current version is not touched', async () => {
  await takeOffClaim();
  const before = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const recovery = await running('ada@example.com');
  for (const operation of ['secretsmanager:PutSecretValue', 'secretsmanager:UpdateSecretVersionStage']) {
    lab.sandbox.faults.follow({ faults: [{ fault: 'lost answer', at: { operation } }] });
    await takeClaim(recovery, lab);
    expect(lab.sandbox.faults.fired().length).toBeGreaterThan(0);
    lab.sandbox.faults.follow({});
    expect(await holder()).toBe(recovery.id);
    await takeOffClaim();
  }
  await takeClaim(recovery, lab);
  await takeClaim(recovery, lab);
  await requireClaim(recovery, lab);
  expect(await currentSecret(lab.secrets, lab.databaseUrlSecretId)).toEqual(before);
  await stop(recovery);
});

test('an execution that Step Functions does not know: just started, or long forgotten', async () => {
  await takeOffClaim();
  const unknown = await running('ada@example.com');
  const next = await running('bob@example.com');
  const arn = `${unknown.execution.arn}-unknown`;
  await takeClaim({ ...unknown, execution: { ...unknown.execution, arn } }, lab);
  await expect(takeClaim(next, lab)).rejects.toMatchObject({ name: 'RecoveryAlreadyRunning' });
  const monthsLater = (): Date => new Date(Date.now() + 100 * 86_400_000);
  await takeClaim(next, { ...claimDeps(), now: monthsLater });
  expect(await holder()).toBe(next.id);
  await Promise.all([unknown, next].map(stop));
});

/** An execution that calls `name` and is stopped before that has answered. */
async function stoppedDuring(name: string): Promise<Recovery> {
  const { stateMachineArn = '' } = await lab.stepFunctions.send(
    new CreateStateMachineCommand({
      name: `calls-${name}`,
      roleArn: 'arn:aws:iam::123456789012:role/machine',
      definition: JSON.stringify({
        StartAt: 'Step',
        States: {
          Step: {
            Type: 'Task',
            Resource: 'arn:aws:states:::lambda:invoke',
            Parameters: {
              FunctionName: `arn:aws:lambda:eu-central-1:123456789012:function:production-${name}`,
            },
            TimeoutSeconds: 330,
            End: true,
          },
        },
      }),
    }),
  );
  let called = (): void => undefined;
  const isCalled = new Promise<void>((resolve) => (called = resolve));
  const leave = lab.sandbox.context.api.intercept(async ({ context }, next) => {
    if (context.operation !== 'Invoke') return next();
    called();
    return new Promise(() => undefined);
  });
  const recovery = await lab.planned({ requestedBy: `${name}@example.com` }, name, stateMachineArn);
  await isCalled;
  leave();
  await takeClaim(recovery, lab);
  await stop(recovery);
  return recovery;
}

test('what is begun right after a recovery was stopped waits for the function that was at work', async () => {
  await takeOffClaim();
  const before = new Date();
  const stopped = await stoppedDuring('swap');
  const after = new Date();
  const next = await lab.execution('next', machine);
  const input = { mode: 'recover', reason: 'a test', requestedBy: 'bob@example.com' };
  const refused: unknown = await lab.planOf(next, input).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    name: 'StoppedRecoveryAtWork',
    message: containing('swap@example.com'),
  });
  const until = Date.parse(/may be at work until (\S+Z)\./.exec(String(refused))?.[1] ?? '');
  expect(until).toBeGreaterThanOrEqual(before.getTime() + 330_000);
  expect(until).toBeLessThanOrEqual(after.getTime() + 330_000);

  // A plan of before does not get past it either, and its own claim is nobody else's.
  const recovery = { ...stopped, id: 'another', requestedBy: 'bob@example.com' };
  await expect(takeClaim(recovery, lab)).rejects.toMatchObject({ name: 'StoppedRecoveryAtWork' });
  await takeClaim(stopped, lab);
  const at = (time: number) => ({ ...claimDeps(), now: () => new Date(time) });
  await expect(takeClaim(recovery, at(until - 1))).rejects.toMatchObject({ name: 'StoppedRecoveryAtWork' });
  expect((await lab.planOf(next, input, { now: () => new Date(until) })).recovery.requestedBy).toBe(
    'bob@example.com',
  );
  await takeClaim(recovery, at(until));
  await stop({ ...recovery, execution: { arn: next.arn, startTime: next.startTime } });
});

test('what only reads is not waited for, nor what ended by itself', async () => {
  await takeOffClaim();
  const reader = await stoppedDuring('verify');
  const next = await running('bob@example.com');
  await takeClaim(next, lab);
  await stop(next);
  expect(await holder()).toBeUndefined();
  // Of a function that does not exist the task fails, and the execution with it.
  const { arn, startTime } = await lab.execution('fails', stateMachine(reader));
  await eventually(
    () => lab.stepFunctions.send(new DescribeExecutionCommand({ executionArn: arn })),
    ({ status }) => status === 'FAILED',
  );
  await takeClaim({ ...reader, id: 'failed', execution: { arn, startTime } }, lab);
  await takeClaim({ ...next, id: 'after' }, lab);
});

test('what was cut off before a redrive is waited for, too: by the way back, and by what is begun afterwards', async () => {
  await takeOffClaim();
  const stopped = await stoppedDuring('fence');
  const { arn: executionArn } = stopped.execution;
  // The function does not exist, so that the call of the redrive fails, and the execution with it.
  await lab.stepFunctions.send(new RedriveExecutionCommand({ executionArn }));
  await eventually(
    () => lab.stepFunctions.send(new DescribeExecutionCommand({ executionArn })),
    ({ status }) => status === 'FAILED',
  );
  const back = (redrives: number, now = lab.now): Promise<unknown> =>
    swapBack({ recovery: stopped, redrives }, { ...claimDeps(), now });
  const refused: unknown = await back(1).catch((error: unknown) => error);
  expect(refused).toMatchObject({ name: 'StoppedRecoveryAtWork', message: containing('production-fence') });
  const until = Date.parse(/may be at work until (\S+Z)\./.exec(String(refused))?.[1] ?? '');
  const at = (time: number) => ({ ...claimDeps(), now: () => new Date(time) });
  // Not redriven: nothing is asked. Redriven once more: Step Functions does not tell of that yet.
  expect(await back(0)).toEqual({ wasSwapped: false });
  await expect(back(2)).rejects.toMatchObject({ name: 'AwsUnavailable' });
  await expect(back(1, at(until - 1).now)).rejects.toMatchObject({ name: 'StoppedRecoveryAtWork' });
  expect(await back(1, at(until).now)).toEqual({ wasSwapped: false });
  await refuseBesideCutOff(stopped, 1, ['rename'], lab);

  const next = { ...stopped, id: 'next', requestedBy: 'bob@example.com' };
  await expect(takeClaim(next, at(until - 1))).rejects.toMatchObject({ name: 'StoppedRecoveryAtWork' });
  await takeClaim(next, at(until));
});

test('while one runs a second start is refused by the plan, and a mere plan says so', async () => {
  await takeOffClaim();
  const first = await running('ada@example.com');
  await takeClaim(first, lab);
  await expect(running('bob@example.com')).rejects.toMatchObject({
    name: 'RecoveryAlreadyRunning',
    message: containing('ada@example.com'),
  });
  expect((await lab.plan({})).plan.summary[0]).toMatch(/ada@example\.com.* runs/);
  await stop(first);
  expect((await lab.plan({})).plan.summary.join()).not.toContain('ada@example.com');
});

test('what was planned before another recovery ended is not restored', async () => {
  const recovery = await running('ada@example.com');
  const stale = { ...recovery, secretVersionId: 'an-earlier-one' };
  await expect(startRestore({ recovery: stale }, lab)).rejects.toMatchObject({
    name: 'SecretMovedMeanwhile',
  });
  expect(await lab.instance(recovery.recoveryInstanceId)).toBeUndefined();
  await stop(recovery);
});

test('redriven before the fence, after another one took over: given up, and the other one goes on', async () => {
  const first = await running('ada@example.com');
  let second: Recovery | undefined;
  const ending = await carryOut(lab, first, {
    before: async (step) => {
      if (step !== 'fence') return;
      // Stopped here; Bob starts his own; then Ada redrives hers.
      await stop(first);
      second = await running('bob@example.com');
      await takeClaim(second, lab);
    },
  });
  expect(ending).toMatchObject({ state: 'RecoveryFailed', error: 'RecoveryOvertaken' });
  expect(await lab.instance(first.recoveryInstanceId)).toBeUndefined();
  expect(await canLogIn(readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value))).toBe(
    true,
  );
  if (!second) throw new Error('nobody took over');
  // Also where it had not come as far as to restore.
  await expect(startRestore({ recovery: await redriven(first) }, lab)).rejects.toMatchObject({
    name: 'RecoveryAlreadyRunning',
    message: containing('bob@example.com'),
  });
  expect(await carryOut(lab, second)).toMatchObject({ state: 'Recovered' });
  await stop(second);
});

test('redriven between fence and swap: its own fence is lifted, the secret stays', async () => {
  const first = await running('ada@example.com');
  const before = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  let second: Recovery | undefined;
  const ending = await carryOut(lab, first, {
    before: async (step) => {
      if (step !== 'swap') return;
      await stop(first);
      second = await running('bob@example.com');
      await takeClaim(second, lab);
    },
  });
  expect(ending).toMatchObject({ state: 'RecoveryFailed', error: 'RecoveryOvertaken' });
  expect(await currentSecret(lab.secrets, lab.databaseUrlSecretId)).toMatchObject({
    versionId: before.versionId,
  });
  expect(await canLogIn(readLogin(before.value))).toBe(true);
  if (second) await stop(second);
});

test('what one has swapped in is not swapped back while another one brings it back', async () => {
  const first = await running('ada@example.com');
  let refused: unknown;
  let second: Recovery | undefined;
  const ending = await carryOut(lab, first, {
    before: async (step) => {
      if (step !== 'prove') return;
      await stop(first);
      second = await running('bob@example.com');
      expect(second.live.instanceId).toBe(first.recoveryInstanceId);
      await takeClaim(second, lab);
      refused = await swapBack({ recovery: first }, lab).catch((error: unknown) => error);
      await expect(fence({ recovery: first }, lab)).rejects.toMatchObject({ name: 'RecoveryOvertaken' });
      // What it swapped in is its own all the same, also to an earlier machine, which sends nothing else.
      expect(await drain({ recovery: first }, lab)).toMatchObject({ sessions: 0 });
      await stop(second);
    },
  });
  expect(refused).toMatchObject({ name: 'RecoveryAlreadyRunning', message: containing('bob@example.com') });
  // Bob's was stopped before it made anything: Ada's goes on to its end.
  expect(ending).toMatchObject({ state: 'Recovered' });
  const live = await findLiveInstance(lab.rds, lab.secrets, lab.databaseUrlSecretId);
  expect(live.address.instanceId).toBe(first.recoveryInstanceId);
});

test.each(['swap', 'finish-settings', 'retire'] as const)(
  'stopped in %s and redriven after another one has recovered: given up, and nothing is changed',
  async (at) => {
    await takeOffClaim();
    const first = await running('ada@example.com');
    let second: Recovery | undefined;
    const ending = await carryOut(lab, first, {
      before: async (step) => {
        if (step !== at) return;
        if (at === 'swap') {
          // It came as far as to prepare the new version.
          const ClientRequestToken = swapVersionId(first.id);
          const { value: SecretString } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
          await lab.secrets.send(
            new PutSecretValueCommand({
              SecretId: lab.databaseUrlSecretId,
              ClientRequestToken,
              SecretString,
              VersionStages: ['migration-rollback-staged'],
            }),
          );
        }
        await stop(first);
        second = await running('bob@example.com');
        expect(await carryOut(lab, second)).toMatchObject({ state: 'Recovered' });
        await stop(second);
      },
    });
    expect(ending).toMatchObject({ state: 'Overtaken', error: 'RecoveryOvertaken' });
    const live = await findLiveInstance(lab.rds, lab.secrets, lab.databaseUrlSecretId);
    expect(live.address.instanceId).toBe(second?.recoveryInstanceId);
    expect(await canLogIn(readLogin((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).value))).toBe(
      true,
    );
    const instance = { ...live.address, host: 'gone.example.com' };
    const overtaken = { name: 'RecoveryOvertaken', message: containing('bob@example.com') };
    const refused: (() => Promise<unknown>)[] = [
      () => prove({ recovery: first, instance, versionId: 'v' }, lab),
      () =>
        proveConsumers(
          { recovery: first, instance },
          { secrets: lab.secrets, databaseUrlSecretId: lab.databaseUrlSecretId, consumers: [] },
        ),
      () => drain({ recovery: first, instance }, lab),
      // As an earlier machine asks, which is redriven.
      () => drain({ recovery: first }, lab),
      () => finishSettings({ recovery: first, instance, quarantine: null }, lab),
      () => retire({ recovery: first, drainedAt: null }, lab),
    ];
    for (const call of refused) await expect(call()).rejects.toMatchObject(overtaken);
  },
);

test('a swap without the claim moves nothing', async () => {
  const first = await running('ada@example.com');
  await startRestore({ recovery: first }, lab);
  const live = await findLiveInstance(lab.rds, lab.secrets, lab.databaseUrlSecretId);
  await stop(first);
  const second = await running('bob@example.com');
  await takeClaim(second, lab);
  await expect(swap({ recovery: first, instance: live.address }, lab)).rejects.toMatchObject({
    name: 'RecoveryOvertaken',
  });
  expect(await currentSecret(lab.secrets, lab.databaseUrlSecretId)).toMatchObject({
    versionId: live.secretVersionId,
  });
  await stop(second);
  // That one ended without having changed anything, so the first one, redriven, may claim again and go on.
  await startRestore({ recovery: first }, lab);
  await requireClaim(first, lab);
});

function stateMachine({ execution }: Recovery): string {
  return execution.arn.replace(':execution:', ':stateMachine:').split(':').slice(0, 7).join(':');
}

function claimDeps(): Parameters<typeof takeClaim>[1] {
  const { secrets, stepFunctions, databaseUrlSecretId, now } = lab;
  return { secrets, stepFunctions, databaseUrlSecretId, now };
}
