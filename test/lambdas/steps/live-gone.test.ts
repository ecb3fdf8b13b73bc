import { DeleteDBInstanceCommand, ModifyDBInstanceCommand, type DBInstance } from '@aws-sdk/client-rds';
import { PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { z } from 'zod';
import type { Recovery } from '../../../lambdas/contract/recovery';
import { MigrationsNotChecked } from '../../../lambdas/errors';
import { backupWindow } from '../../../lambdas/point-in-time';
import { planRename } from '../../../lambdas/plan-rename';
import { currentSecret } from '../../../lambdas/secrets';
import { discard } from '../../../lambdas/steps/discard';
import { drain } from '../../../lambdas/steps/drain';
import { fence } from '../../../lambdas/steps/fence';
import { liftFence } from '../../../lambdas/steps/lift-fence';
import { restorePoints } from '../../../lambdas/steps/restore-points';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { carryOut } from './carry-out';
import { Lab, migrationTable } from './lab';
import { until } from '../../until';

/** GIVEN a database, the pipeline's snapshot of it, and rows that were written after that. */
let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql(migrationTable);
  await lab.sql('create table task (id int primary key)');
  await lab.sql('insert into task values (1)');
  await lab.snapshot('run-1', '2_bad');
  await lab.sql('insert into task values (2)');
});
afterAll(() => lab.stop());

const containing = (text: string): unknown => expect.stringContaining(text);
const input = { mode: 'recover', reason: 'a test', requestedBy: 'jest' };
const cannotBeAsked = {
  checkMigrations: () => Promise.reject(new MigrationsNotChecked('Nobody answers.', 'Wait.')),
};

const withStatus = (status: string): (() => void) => withMembers({ DBInstanceStatus: status });

/** RDS says this of every instance, or of one. */
function withMembers(members: Partial<DBInstance>, of?: string): () => void {
  return lab.sandbox.context.api.intercept(async ({ context }, next) => {
    const answer = await next();
    if (context.operation !== 'DescribeDBInstances') return answer;
    const instances = z.array(z.looseObject({})).parse(answer.DBInstances);
    return {
      ...answer,
      DBInstances: instances.map((instance) => ({
        ...instance,
        ...((of === undefined || instance['DBInstanceIdentifier'] === of) && members),
      })),
    };
  });
}

describe('a live instance that is broken', () => {
  test('and may come back is not recovered from while it cannot be asked: the plan says so first', async () => {
    const end = withStatus('storage-full');
    try {
      const { plan, recovery } = await lab.plan({}, 'test', undefined, cannotBeAsked);
      expect(recovery.live.state).toBe('there');
      expect(plan.notKnown[0]).toContain('It cannot be carried out yet. Instance orders is "storage-full"');
      await expect(lab.plan(input, 'test', undefined, cannotBeAsked)).rejects.toMatchObject({
        name: 'LiveInstanceUnclear',
        message: containing('come back'),
      });
      // It answers, so it can be fenced.
      expect((await lab.plan(input)).recovery.live.state).toBe('there');
    } finally {
      end();
    }
  });

  test.each(['failed', 'inaccessible-encryption-credentials'])(
    'and %s for good is kept: RDS takes no final snapshot of it',
    async (status) => {
      const end = withStatus(status);
      try {
        const { recovery, plan } = await lab.plan(input);
        expect(recovery).toMatchObject({ retire: 'keep', live: { state: 'dead' }, settingsSnapshotId: null });
        expect(plan.toBeMade.snapshots).toEqual([]);
      } finally {
        end();
      }
    },
  );

  test.each([
    ['modifying', 'Wait until it is available'],
    ['deleting', 'Wait until it is gone'],
    ['stopping', 'Wait until it is stopped, then start it'],
  ])('and %s is waited for', async (status, hint) => {
    const end = withStatus(status);
    try {
      await expect(lab.plan({})).rejects.toMatchObject({
        name: 'LiveInstanceUnclear',
        message: containing(hint),
      });
    } finally {
      end();
    }
  });
});

/** What a person is told that there is to go back to. */
function listed() {
  const { rds, secrets, environment, databaseUrlSecretId, now } = lab;
  const rules = { dailyDays: 7, weeklyDays: 90, keepNewest: 1, newestAtMostHours: 36 };
  return restorePoints({ limit: 1000 }, { rds, secrets, environment, databaseUrlSecretId, now, rules });
}

describe('a live instance that this system cannot bring back', () => {
  test.each<[string, Partial<DBInstance>, string]>([
    ['of Aurora', { DBClusterIdentifier: 'shop', Engine: 'aurora-postgresql' }, 'a member of cluster shop'],
    ['of a Multi-AZ cluster', { DBClusterIdentifier: 'shop' }, 'a member of cluster shop'],
    ['of another engine', { Engine: 'mysql' }, 'of engine "mysql"'],
    ['that is a replica', { ReadReplicaSourceDBInstanceIdentifier: 'first' }, 'a read replica of first'],
  ])('%s is refused by a plan and by the gate, with the reason', async (_, members, reason) => {
    const end = withMembers(members);
    try {
      const refused = { name: 'LiveInstanceUnclear', message: containing(reason) };
      await expect(lab.plan({})).rejects.toMatchObject(refused);
      expect(await lab.snapshot('run-unfit')).toMatchObject({
        status: 'refused',
        error: 'LiveInstanceUnclear',
        reason: containing(reason),
      });
    } finally {
      end();
    }
  });

  test('whose password RDS manages is planned for, with the reason first, and not recovered', async () => {
    const SecretArn = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-1-AbCdEf';
    const end = withMembers({ MasterUserSecret: { SecretArn, SecretStatus: 'active' } });
    try {
      const { plan } = await lab.plan({});
      expect(plan.notKnown[0]).toContain('It cannot be carried out yet. RDS manages the password');
      await expect(lab.plan(input)).rejects.toMatchObject({
        name: 'LiveInstanceUnclear',
        message: containing(SecretArn),
      });
    } finally {
      end();
    }
  });
});

describe('a live instance that was deleted by hand', () => {
  let recovery: Recovery;
  let time: string;
  beforeAll(async () => {
    const { DbiResourceId = '' } = (await lab.instance('orders')) ?? {};
    // A time counts as newer than a snapshot from a second on, and is rounded down to one: so two.
    const written = new Date(Date.now() + 2000);
    const window = await until(
      () => backupWindow(lab.rds, DbiResourceId),
      (seconds) => seconds !== undefined && seconds.to > written,
    );
    time = window?.to.toISOString() ?? '';
    const unprotect = { DeletionProtection: false, ApplyImmediately: true };
    await lab.rds.send(new ModifyDBInstanceCommand({ DBInstanceIdentifier: 'orders', ...unprotect }));
    await until(
      () => lab.instance('orders'),
      (instance) => instance?.DBInstanceStatus === 'available' && instance.DeletionProtection === false,
    );
    await lab.rds.send(
      new DeleteDBInstanceCommand({
        DBInstanceIdentifier: 'orders',
        FinalDBSnapshotIdentifier: 'orders-by-hand',
        DeleteAutomatedBackups: false,
      }),
    );
    await until(
      () => lab.instance('orders'),
      (instance) => instance === undefined,
    );
  });

  test('is known from the snapshot that was taken of it, and so are its settings', async () => {
    const planned = await lab.plan({ ...input, restore: { to: 'time', time } });
    ({ recovery } = planned);
    expect(recovery).toMatchObject({
      live: { instanceId: 'orders', state: 'gone' },
      settingsSnapshotId: containing('pre-migration'),
    });
    expect(planned.plan).toMatchObject({
      live: { instanceId: 'orders', status: 'gone' },
      toBeMade: { snapshots: [] },
      migrations: { stay: null },
    });
    expect(planned.plan.summary.join('\n')).toContain('its settings are taken from snapshot');
  });

  test('has better restore points named than the one that {} goes back to, each with its loss', async () => {
    const { recovery: chosen, plan } = await lab.plan({});
    expect(chosen.restorePoint).toMatchObject({ kind: 'snapshot', snapshotId: containing('pre-migration') });
    expect(plan.alternatives.map(({ restore }) => restore)).toEqual(
      expect.arrayContaining([
        { to: 'snapshot', snapshotId: 'orders-by-hand' },
        { to: 'time', time: containing('T') },
      ]),
    );
    const times = plan.alternatives.map((one) => Date.parse(one.time));
    expect(Math.min(...times)).toBeGreaterThanOrEqual(Date.parse(time) - 1000);
    const summary = plan.summary.join('\n');
    expect(summary).toMatch(
      /Or: .*"orders-by-hand"}, as of .*\(made by hand\): it loses .* minutes less, .* minutes altogether/,
    );
    // Nobody writes to what is gone: the loss does not grow.
    const end = new Date(Math.max(...times)).toISOString().slice(0, 19);
    expect(summary).toContain(`minutes up to ${end}`);
    expect(summary).toContain('the last that is known of orders.');
    const later = await lab.plan({}, 'later', undefined, { now: () => new Date(Date.now() + 9e6) });
    expect(later.plan.lossWindowMinutes).toBe(plan.lossWindowMinutes);
    // Of the best one there is none that is better.
    const { plan: best } = await lab.plan({ restore: plan.alternatives[0]?.restore });
    expect(best.alternatives).toEqual([]);
  });

  test('is said to be gone by the gate and by a rename, too', async () => {
    expect(await lab.snapshot('run-2', '3_more')).toMatchObject({
      status: 'refused',
      error: 'LiveInstanceUnclear',
      reason: containing('orders was deleted, or has another name now'),
      hint: containing('Start the recovery machine with {}'),
    });
    await expect(
      planRename({ execution: await lab.execution('rename'), input: { ...input, mode: 'rename' } }, lab),
    ).rejects.toMatchObject({ name: 'LiveInstanceUnclear', message: containing('orders was deleted') });
  });

  test('has its restore points listed, by the snapshot that was taken of it; that it is gone is said', async () => {
    const { liveInstanceId, liveProblem, window, points } = await listed();
    expect(liveInstanceId).toBe('orders');
    expect(liveProblem).toContain('orders, which DATABASE_URL names, is gone');
    expect(Date.parse(window?.to ?? '')).toBeGreaterThanOrEqual(Date.parse(time));
    expect(points.map(({ kind, status }) => ({ kind, status }))).toContainEqual({
      kind: 'pre-migration',
      status: 'available',
    });
    expect(points[0]).toMatchObject({
      kind: 'by-hand',
      id: 'orders-by-hand',
      status: 'available',
      restore: { to: 'snapshot', snapshotId: 'orders-by-hand' },
    });
  });

  test('is not one whose endpoint no snapshot knows', async () => {
    const { value, versionId } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
    const put = async (SecretString: string): Promise<unknown> =>
      lab.secrets.send(new PutSecretValueCommand({ SecretId: lab.databaseUrlSecretId, SecretString }));
    await put(value.replace(/@[^:/]+/, '@orders.example.com'));
    await expect(lab.plan({})).rejects.toMatchObject({ name: 'LiveInstanceUnclear' });
    // What there is to go back to is listed all the same.
    const { points, ...others } = await listed();
    expect(others).toMatchObject({
      liveInstanceId: null,
      liveProblem: containing('orders.example.com'),
      window: null,
    });
    expect(points.length).toBeGreaterThan(0);
    await put(value);
    expect((await currentSecret(lab.secrets, lab.databaseUrlSecretId)).versionId).not.toBe(versionId);
  });

  test('comes back from its retained backups, with its settings, and there is nothing to fence or to retire', async () => {
    const { recovery: planned } = await lab.plan({ ...input, restore: { to: 'time', time } });
    const ending = await carryOut(lab, planned);
    expect(ending).toMatchObject({ state: 'Recovered' });
    expect(await lab.sql('select id from task order by id')).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await lab.instance(planned.recoveryInstanceId)).toMatchObject({
      DBInstanceClass: 'db.t4g.micro',
      DeletionProtection: true,
      BackupRetentionPeriod: 7,
      MasterUsername: 'master',
    });
    await expect(startRestore({ recovery }, lab)).rejects.toMatchObject({ name: 'SecretMovedMeanwhile' });
    expect(await drain({ recovery: planned, instance: ending.instance ?? planned.live }, lab)).toMatchObject({
      sessions: 0,
    });
    expect(await liftFence({ recovery: planned }, lab)).toMatchObject({ lifted: false });
  });

  test('is not gone when something answers at its address', async () => {
    const planned = await lab.planned();
    const back: Recovery = { ...planned, live: { ...planned.live, state: 'gone' } };
    await startRestore({ recovery: planned }, lab);
    await expect(fence({ recovery: back }, lab)).rejects.toMatchObject({
      name: 'FenceFailed',
      message: containing('takes connections'),
    });
  });

  test.each<[string, Partial<DBInstance>, Recovery['live']['state']?]>([
    ['is being deleted', { DBInstanceStatus: 'deleting' }],
    ['has failed', { DBInstanceStatus: 'failed' }],
    ['was deleted, and another one has its name', { DbiResourceId: 'db-ANOTHER' }],
    ['was gone from the start', { DbiResourceId: 'db-ANOTHER' }, 'gone'],
  ])('during a recovery keeps what that restored, while it %s', async (_, members, state = 'there') => {
    const planned = await lab.planned();
    await startRestore({ recovery: planned }, lab);
    const end = withMembers(members, planned.live.instanceId);
    try {
      const failed = { ...planned, live: { ...planned.live, state } };
      await expect(discard({ recovery: failed }, lab)).rejects.toMatchObject({
        name: 'LiveInstanceUnclear',
        message: containing(`${planned.live.instanceId}, which the secret names, is gone`),
      });
    } finally {
      end();
    }
    expect((await lab.instance(planned.recoveryInstanceId))?.DBInstanceStatus).not.toBe('deleting');
    // Once there is a database again it goes as any other.
    await expect(discard({ recovery: planned }, lab)).rejects.toMatchObject({ name: 'DiscardNotFinished' });
  });
});
