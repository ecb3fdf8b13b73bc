import { drillWarning } from '../../../lambdas/drill-age';
import { readQuarantine } from '../../../lambdas/quarantine';
import { findRunningRecovery } from '../../../lambdas/recovery-claim';
import { currentSecret } from '../../../lambdas/secrets';
import { checkRestoredInstance } from '../../../lambdas/steps/check-restored-instance';
import { endDrill, type DrillMetrics } from '../../../lambdas/steps/end-drill';
import { fence } from '../../../lambdas/steps/fence';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { readMarks } from '../../../lambdas/tags';
import { Lab, again, migrationTable } from './lab';

/** Drills beside recoveries that are meant. */
let lab: Lab;
/** Its executions run until they are stopped. */
let machine: string;
beforeAll(async () => {
  lab = await Lab.start();
  machine = await lab.machineThatRuns('running');
  await lab.sql(migrationTable);
  await lab.snapshot('run-1', '2_bad');
});
afterAll(() => lab.stop());

test('a recovery is started while a drill runs: the drill has claimed and quarantined nothing, and ends all the same', async () => {
  const liveBefore = await lab.instance('orders');
  const { recovery } = await lab.plan({ mode: 'drill' }, 'drill', machine);
  await startRestore({ recovery }, lab);
  expect(await findRunningRecovery(lab)).toBeUndefined();

  const meant = await lab.planned({ requestedBy: 'ada' }, 'meant', machine);
  await startRestore({ recovery: meant }, lab);

  expect(await findRunningRecovery(lab)).toMatchObject({ recoveryId: meant.id });
  await again('InstanceNotReady', () => checkRestoredInstance({ recovery }, lab));
  const made = await lab.instance(recovery.recoveryInstanceId);
  expect(readMarks(made?.TagList)).toEqual({
    role: 'recovery-instance',
    environment: 'production',
    'recovery-id': recovery.id,
  });
  expect(readQuarantine(made?.TagList)).toEqual([]);
  expect(readQuarantine((await lab.instance(meant.recoveryInstanceId))?.TagList)).toHaveLength(1);
  // A drill that was led astray gets no further.
  await expect(fence({ recovery }, lab)).rejects.toMatchObject({ name: 'RecoveryOvertaken' });

  const published: DrillMetrics[] = [];
  const start = Date.parse(recovery.execution.startTime);
  const event = {
    recovery,
    restoredAt: new Date(start + 60_000).toISOString(),
    verifiedAt: new Date(start + 90_400).toISOString(),
    checks: { passed: 5, notPassed: 0 },
  };
  const { rds, secrets, databaseUrlSecretId } = lab;
  const publish = (metrics: DrillMetrics): void => void published.push(metrics);
  const deps = { rds, secrets, databaseUrlSecretId, publish };
  await expect(endDrill(event, deps)).rejects.toMatchObject({ name: 'DiscardNotFinished' });
  expect(published).toEqual([]);
  const ended = await again('DiscardNotFinished', () => endDrill(event, deps));
  expect(ended).toEqual({
    discarded: 'gone',
    instanceId: recovery.recoveryInstanceId,
    restoreSeconds: 60,
    recoverySeconds: 90,
    checks: { passed: 5, notPassed: 0 },
  });
  expect(published).toHaveLength(1);
  expect(await lab.instance(recovery.recoveryInstanceId)).toBeUndefined();
  expect(await lab.instance(meant.recoveryInstanceId)).toBeDefined();
  expect((await lab.instance('orders'))?.TagList).toEqual(liveBefore?.TagList);
  const { versionId } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  expect(versionId).toBe(recovery.secretVersionId);

  // While one that is meant runs a drill gives way, whenever it sees that.
  await expect(lab.plan({ mode: 'drill' })).rejects.toMatchObject({ name: 'RecoveryAlreadyRunning' });
  await expect(startRestore({ recovery }, lab)).rejects.toMatchObject({ name: 'RecoveryAlreadyRunning' });
});

describe('that no drill succeeded for too long', () => {
  const days = 8;
  const inDays = (since: number): Date => new Date(since + days * 86_400_000);
  const warning = (now: Date): Promise<string[]> =>
    drillWarning(lab.stepFunctions, { machine: lab.machineArn, newestAtMostDays: days }, now);
  const succeed = async (input: unknown): Promise<void> => {
    await lab.execution('of-the-schedule', lab.machineArn, input);
  };

  test('is no warning while the machine is newer', async () => {
    expect(await warning(lab.now())).toEqual([]);
  });

  test('is a warning, and plans do not count', async () => {
    const since = Date.now();
    await succeed({ mode: 'plan' });
    await succeed({});
    expect(await warning(inDays(since))).toEqual([expect.stringContaining('No drill and no recovery')]);
  });

  test.each(['drill', 'recover'])('is not so once a %s has', async (mode) => {
    const since = Date.now();
    await succeed({ mode });
    await succeed({});
    expect(await warning(inDays(since))).toEqual([]);
    expect(await warning(inDays(Date.now() + 1000))).toHaveLength(1);
  });
});
