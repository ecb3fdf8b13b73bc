import {
  CreateDBInstanceCommand,
  CreateDBSnapshotCommand,
  DeleteDBSnapshotCommand,
  ModifyDBInstanceCommand,
} from '@aws-sdk/client-rds';
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  StartExecutionCommand,
} from '@aws-sdk/client-sfn';
import { MigrationsNotChecked } from '../../../lambdas/errors';
import { findLiveInstance } from '../../../lambdas/live-instance';
import { backupWindow, writeMarker } from '../../../lambdas/point-in-time';
import { findSnapshot } from '../../../lambdas/rds';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { ApiError } from '../../../sandbox/core/api';
import { Lab, migrationTable } from './lab';
import { until } from '../../until';

/**
 * GIVEN a database with three migrations: the pipeline took a snapshot before the second one, which began five seconds later, and
 * none before the third one, four seconds later.
 */
let lab: Lab;
let snapshotId: string;
let snapshotTime: Date;
let started: Record<'2_bad' | '3_worse', Date>;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.sql(migrationTable);
  await migrate('1_start', new Date(Date.now() - 3_600_000));
  const snapshot = await lab.snapshot('run-1', '2_bad');
  snapshotId = snapshot.status === 'available' && 'snapshotId' in snapshot ? snapshot.snapshotId : '';
  snapshotTime = (await findSnapshot(lab.rds, snapshotId))?.SnapshotDatabaseTime ?? new Date(0);
  const after = (milliseconds: number): Date => new Date(snapshotTime.getTime() + milliseconds);
  started = { '2_bad': after(5000), '3_worse': after(9000) };
  await migrate('2_bad', started['2_bad']);
  await migrate('3_worse', started['3_worse']);
  await reachable(started['3_worse']);
});
afterAll(() => lab.stop());

const containing = (text: string): unknown => expect.stringContaining(text);

const migrate = (name: string, at: Date): Promise<unknown> =>
  lab.sql(
    `insert into _prisma_migrations (id, checksum, started_at, finished_at, migration_name)
     values ('${name}', 'x', '${at.toISOString()}', now(), '${name}')`,
  );

/** Until the automated backups reach a time. Something has to be written for there to be a log. */
async function reachable(time: Date): Promise<void> {
  const { DbiResourceId = '' } = (await lab.instance('orders')) ?? {};
  await until(
    () => backupWindow(lab.rds, DbiResourceId),
    (window) => window !== undefined && window.to > time,
  );
}

const beforeMigration = (migration: string) => ({ restore: { to: 'before-migration', migration } });
const cannotBeAsked = {
  checkMigrations: () => Promise.reject(new MigrationsNotChecked('The server is on fire.', 'Wait.')),
};
/** What was refused, as the operator reads it. */
const refusal = (input: object): Promise<unknown> =>
  lab.plan(input).then(
    () => 'not refused',
    (error: unknown) => error,
  );

describe('before a migration', () => {
  test('the second before it began loses less than the snapshot, and the plan says which is faster', async () => {
    const { recovery, plan } = await lab.plan(beforeMigration('2_bad'));
    expect(plan.why).toContain('loses least');
    const second = new Date(Math.floor(started['2_bad'].getTime() / 1000) * 1000 - 1000);
    expect(recovery.restorePoint).toMatchObject({
      kind: 'time',
      time: second.toISOString(),
      pendingMigrations: ['2_bad', '3_worse'],
    });
    expect(plan.alternatives).toEqual([
      {
        restore: { to: 'snapshot', snapshotId },
        time: snapshotTime.toISOString(),
        why: containing('faster'),
      },
    ]);
    expect(plan.inputToRecover).toMatchObject({ restore: { to: 'time', time: second.toISOString() } });
    expect(plan.migrations).toEqual({ goAway: ['2_bad', '3_worse'], stay: { count: 1, newest: '1_start' } });
  });

  test('of several only the last one goes where that was asked', async () => {
    const { recovery, plan } = await lab.plan(beforeMigration('3_worse'));
    expect(recovery.restorePoint.pendingMigrations).toEqual(['3_worse']);
    expect(plan.migrations).toEqual({ goAway: ['3_worse'], stay: { count: 2, newest: '2_bad' } });
  });

  test('the snapshot where the automated backups do not reach it yet, and a word about waiting', async () => {
    const to = new Date(started['2_bad'].getTime() - 4500);
    const end = lab.sandbox.context.api.intercept(async ({ context }, next) =>
      context.operation === 'DescribeDBInstanceAutomatedBackups'
        ? {
            DBInstanceAutomatedBackups: [
              { RestoreWindow: { EarliestTime: new Date(to.getTime() - 3_600_000), LatestTime: to } },
            ],
          }
        : next(),
    );
    try {
      const { recovery, plan } = await lab.plan(beforeMigration('2_bad'));
      expect(recovery.restorePoint).toMatchObject({ kind: 'snapshot', snapshotId });
      expect(plan.why).toContain('Plan again when they have reached');
      expect(await refusal(beforeMigration('1_start'))).toMatchObject({ name: 'RestorePointNotFound' });
    } finally {
      end();
    }
  });

  test('what the tags say where the live database cannot be asked', async () => {
    const { recovery, plan } = await lab.plan(beforeMigration('2_bad'), 'test', undefined, cannotBeAsked);
    expect(recovery.restorePoint).toMatchObject({ kind: 'snapshot', pendingMigrations: ['2_bad'] });
    expect(plan.migrations).toEqual({ goAway: ['2_bad'], stay: null });
    expect(plan.notKnown).toEqual([containing('The server is on fire.')]);
    await expect(
      lab.plan(beforeMigration('3_worse'), 'test', undefined, cannotBeAsked),
    ).rejects.toMatchObject({ name: 'RestorePointNotFound', message: containing('The server is on fire.') });
  });

  test('the second that the pipeline marked, where nothing else is known', async () => {
    const { instance } = await findLiveInstance(lab.rds, lab.secrets, lab.databaseUrlSecretId);
    const { time } = await writeMarker(lab.rds, instance, {
      deploymentId: 'run-3',
      time: new Date(snapshotTime.getTime() + 3000),
      migrations: [{ name: '4_marked' }],
    });
    const input = beforeMigration('4_marked');
    const { recovery } = await lab.plan(input, 'test', undefined, cannotBeAsked);
    expect(recovery.restorePoint).toMatchObject({
      kind: 'time',
      time: new Date(time).toISOString(),
      pendingMigrations: ['4_marked'],
    });
  });

  test('a name that nobody knows is refused with those that the database has', async () => {
    expect(await refusal(beforeMigration('2_bat'))).toMatchObject({
      name: 'RestorePointNotFound',
      message: containing('1_start, 2_bad, 3_worse'),
    });
  });
});

describe('a restore point by name or time', () => {
  test('a time with any offset', async () => {
    const time = new Date(Math.floor(started['2_bad'].getTime() / 1000) * 1000);
    const inIndia = new Date(time.getTime() + 5.5 * 3_600_000).toISOString().replace('Z', '+05:30');
    const { recovery } = await lab.plan({ restore: { to: 'time', time: inIndia } });
    expect(recovery.restorePoint).toMatchObject({ kind: 'time', time: time.toISOString() });
  });

  test('a time outside the window is refused with the window', async () => {
    const { DbiResourceId = '' } = (await lab.instance('orders')) ?? {};
    const from = (await backupWindow(lab.rds, DbiResourceId))?.from.toISOString() ?? 'no window';
    expect(await refusal({ restore: { to: 'time', time: '2001-01-01T00:00:00Z' } })).toMatchObject({
      name: 'RestorePointNotFound',
      message: containing(`allowed is ${from} to `),
    });
  });

  test('a snapshot that failed is refused', async () => {
    lab.sandbox.rds.failNext({ kind: 'snapshot', status: 'failed' });
    await lab.rds.send(
      new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'orders', DBSnapshotIdentifier: 'broken' }),
    );
    await until(
      () => findSnapshot(lab.rds, 'broken'),
      (snapshot) => snapshot?.Status === 'failed',
    );
    expect(await refusal({ restore: { to: 'snapshot', snapshotId: 'broken' } })).toMatchObject({
      name: 'RestorePointNotFound',
      message: containing('is "failed"'),
    });
  });

  test('the latest snapshot is one of the pipeline or the schedule; a newer one made by hand is named, and what it holds', async () => {
    const id = 'orders-by-hand';
    await lab.rds.send(
      new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'orders', DBSnapshotIdentifier: id }),
    );
    await until(
      () => findSnapshot(lab.rds, id),
      (snapshot) => snapshot?.Status === 'available',
    );
    const latest = { restore: { to: 'latest-snapshot' } };
    const { recovery, plan } = await lab.plan(latest);
    expect(recovery.restorePoint).toMatchObject({ kind: 'snapshot', snapshotId });
    expect(plan.why).toContain(
      'newest available snapshot that was taken by the schedule or before a migration',
    );
    expect(plan.alternatives).toMatchObject([
      {
        restore: { to: 'snapshot', snapshotId: id },
        why: expect.stringMatching(
          /^It is the newest snapshot of orders \(.*minutes less.*a bad migration, too/,
        ) as string,
      },
    ]);
    expect(plan.inputToRecover).toMatchObject({ restore: { to: 'snapshot', snapshotId } });
    await lab.rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: id }));

    // With none at all both that ask for the latest say so, and what else would do.
    const none = lab.sandbox.context.api.intercept(({ context }, next) =>
      context.operation === 'DescribeDBSnapshots' ? Promise.resolve({ DBSnapshots: [] }) : next(),
    );
    try {
      expect(await refusal(latest)).toMatchObject({
        name: 'RestorePointNotFound',
        message: containing(
          'that the schedule or the pipeline took. Hint: Start with a time, {"restore":{"to":"time","time":"…"}}',
        ),
      });
      expect(await refusal({})).toMatchObject({
        name: 'RestorePointNotFound',
        message: containing('Hint: Start with one of the schedule: {"restore":{"to":"latest-snapshot"}}.'),
      });
    } finally {
      none();
    }
  });

  test("another database's snapshot is refused", async () => {
    await lab.rds.send(
      new CreateDBInstanceCommand({
        DBInstanceIdentifier: 'another',
        Engine: 'postgres',
        DBInstanceClass: 'db.t4g.micro',
        AllocatedStorage: 20,
        MasterUsername: 'master',
        MasterUserPassword: 'another-Password1',
        BackupRetentionPeriod: 0,
      }),
    );
    await until(
      () => lab.instance('another'),
      (instance) => instance?.DBInstanceStatus === 'available',
    );
    await lab.rds.send(
      new CreateDBSnapshotCommand({ DBInstanceIdentifier: 'another', DBSnapshotIdentifier: 'of-another' }),
    );
    await until(
      () => findSnapshot(lab.rds, 'of-another'),
      (snapshot) => snapshot?.Status === 'available',
    );
    expect(await refusal({ restore: { to: 'snapshot', snapshotId: 'of-another' } })).toMatchObject({
      name: 'RestorePointNotFound',
      message: containing('is of instance another'),
    });
  });

  test('a snapshot under a key that RDS cannot use is refused when RDS says so', async () => {
    const recovery = await lab.planned({ restore: { to: 'snapshot', snapshotId } });
    lab.sandbox.faults.follow({
      faults: [
        {
          fault: 'error',
          at: { operation: 'rds:RestoreDBInstanceFromDBSnapshot', every: 1 },
          code: 'KMSKeyNotAccessibleFault',
          message: 'The specified KMS key is disabled',
        },
      ],
    });
    try {
      await expect(startRestore({ recovery }, lab)).rejects.toMatchObject({
        name: 'RestorePointNotFound',
        message: containing('key'),
      });
    } finally {
      lab.sandbox.faults.follow({});
    }
  });
});

describe('what a person needs to decide', () => {
  test('is in the fields, and in short lines', async () => {
    const { recovery, plan } = await lab.plan({}, 'test', undefined, {
      instancePrice: {
        instanceClass: 'db.t4g.micro',
        perHour: 0.016,
        storagePerGibMonth: 0.115,
        currency: 'USD',
        priceOf: 'a test',
      },
    });
    expect(plan).toMatchObject({
      live: { instanceId: 'orders', status: 'available' },
      toBeMade: {
        instances: [recovery.recoveryInstanceId],
        snapshots: [recovery.safetySnapshotId, recovery.finalSnapshotId],
      },
      quotas: { instances: { quota: 40 }, snapshots: { quota: 100 } },
      modifiedAfterwards: expect.arrayContaining(['DeletionProtection']) as unknown,
      asInBackup: [],
      replication: { slots: [], subscriptions: [] },
      // 24 hours of the instance, and a day of 20 GiB.
      costPerDay: { amount: 0.46, currency: 'USD' },
      notKnown: [],
    });
    expect(Math.max(...plan.summary.slice(0, -1).map((line) => line.length))).toBeLessThan(200);
    expect(plan.summary.at(-1)).toContain(JSON.stringify(plan.inputToRecover));
  });

  test('has what logical replication there is, and that it breaks', async () => {
    const replication = {
      slots: [{ name: 'debezium', plugin: 'pgoutput' }],
      subscriptions: ['feed in orders'],
    };
    const { plan } = await lab.plan({}, 'test', undefined, {
      checkMigrations: async (event) => ({ ...(await lab.checkMigrations(event)), replication }),
    });
    expect(plan.replication).toEqual(replication);
    expect(plan.summary).toContain(
      'Logical replication breaks: the slots debezium (pgoutput) stay behind in orders; the subscriptions feed in orders start in the restored database by themselves. Runbook: "Logical replication".',
    );
    expect((await lab.plan({}, 'test', undefined, cannotBeAsked)).plan.replication).toBeNull();
  });

  test('has no amount where the table has no price of this class', async () => {
    const { plan } = await lab.plan({});
    expect(plan.costPerDay).toBeNull();
    expect(plan.summary.join('\n')).toContain('twice the cost');
  });

  test('has how long earlier recoveries took; plans do not count', async () => {
    const { stateMachineArn = '' } = await lab.stepFunctions.send(
      new CreateStateMachineCommand({
        name: 'of-this-test',
        roleArn: 'arn:aws:iam::123456789012:role/machine',
        definition: JSON.stringify({ StartAt: 'Done', States: { Done: { Type: 'Succeed' } } }),
      }),
    );
    const expected = async (): Promise<unknown> =>
      (await lab.plan({}, 'test', stateMachineArn)).plan.expectedMinutes;
    expect(await expected()).toBeNull();
    const { executionArn } = await lab.stepFunctions.send(
      new StartExecutionCommand({ stateMachineArn, input: '{"mode":"recover"}' }),
    );
    await until(
      () => lab.stepFunctions.send(new DescribeExecutionCommand({ executionArn })),
      ({ status }) => status === 'SUCCEEDED',
    );
    expect(await expected()).toMatchObject({ recoveries: 1 });
  });

  test('is answered although parts of it cannot be had', async () => {
    const end = lab.sandbox.context.api.intercept(async ({ context }, next) => {
      if (['ListExecutions', 'DescribeAccountAttributes'].includes(context.operation))
        throw new ApiError('AccessDeniedException', 'not today');
      return next();
    });
    try {
      const { plan } = await lab.plan({});
      expect(plan).toMatchObject({
        quotas: null,
        expectedMinutes: null,
        notKnown: [containing('quotas'), containing('How long it will take is not known')],
      });
      expect(plan.summary).toEqual(expect.arrayContaining(plan.notKnown));
    } finally {
      end();
    }
  });

  test('a second instance that no quota has room for is refused', async () => {
    const refusedWith = async (name: string): Promise<unknown> => {
      const end = lab.sandbox.context.api.intercept(({ context }, next) =>
        context.operation === 'DescribeAccountAttributes'
          ? Promise.resolve({ AccountQuotas: [{ AccountQuotaName: name, Used: 40, Max: 40 }] })
          : next(),
      );
      try {
        return await refusal({});
      } finally {
        end();
      }
    };
    expect(await refusedWith('DBInstances')).toMatchObject({
      name: 'InstanceQuotaExceeded',
      message: containing('40 of 40 instances'),
    });
    expect(await refusedWith('AllocatedStorage')).toMatchObject({ name: 'InstanceQuotaExceeded' });
    expect(await refusedWith('ManualSnapshots')).toMatchObject({ name: 'SnapshotQuotaExceeded' });
  });
});

test('a time is refused where the backup retention is 0', async () => {
  await lab.rds.send(
    new ModifyDBInstanceCommand({
      DBInstanceIdentifier: 'orders',
      BackupRetentionPeriod: 0,
      ApplyImmediately: true,
    }),
  );
  await until(
    () => lab.instance('orders'),
    (instance) => instance?.BackupRetentionPeriod === 0 && instance.DBInstanceStatus === 'available',
  );
  expect(await refusal({ restore: { to: 'time', time: started['2_bad'].toISOString() } })).toMatchObject({
    name: 'RestorePointNotFound',
    message: containing('its backup retention is 0 days'),
  });
});
