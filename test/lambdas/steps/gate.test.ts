import {
  AddTagsToResourceCommand,
  DeleteDBSnapshotCommand,
  DescribeDBSnapshotsCommand,
  RebootDBInstanceCommand,
  RemoveTagsFromResourceCommand,
  type Tag,
} from '@aws-sdk/client-rds';
import { DescribeSecretCommand, PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { StopExecutionCommand } from '@aws-sdk/client-sfn';
import { Client } from 'pg';
import type { PreMigrationSnapshotResult } from '../../../lambdas/contract/gate';
import { RestoreRequest } from '../../../lambdas/contract/recovery-input';
import { readLogin } from '../../../lambdas/database-url';
import { restoreSettings } from '../../../lambdas/instance-settings';
import { markCutoverProven } from '../../../lambdas/proven-cutover';
import { addToQuarantine, quarantineKeys, writeQuarantine } from '../../../lambdas/quarantine';
import { takeClaim } from '../../../lambdas/take-claim';
import { currentSecret } from '../../../lambdas/secrets';
import { liftQuarantine } from '../../../lambdas/steps/lift-quarantine';
import { preMigrationSnapshot } from '../../../lambdas/steps/pre-migration-snapshot';
import { readSettings } from '../../../lambdas/stored-settings';
import { readMarks, readMigrations, writeMarks } from '../../../lambdas/tags';
import { Lab, migrationTable } from './lab';
import { until } from '../../until';

const sum = (digit: string): string => digit.repeat(64);
/** jest's matcher is typed `any`. */
const containing = (text: string): unknown => expect.stringContaining(text);

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
});
afterAll(() => lab.stop());
beforeEach(async () => {
  await lab.sql('drop schema public cascade');
  await lab.sql('create schema public');
  await lab.sql('drop schema if exists billing, prisma_contract cascade');
});

const ask = (event: object): Promise<PreMigrationSnapshotResult> => preMigrationSnapshot(event, lab);
const final = (event: object): Promise<PreMigrationSnapshotResult> =>
  until(
    () => ask(event),
    ({ status }) => status !== 'creating',
  );
const record = (
  table: string,
  name: string,
  checksum: string,
  ended: 'finished_at' | 'rolled_back_at' | 'id',
) =>
  lab.sql(
    `insert into ${table} (id, checksum, migration_name${ended === 'id' ? '' : `, ${ended}`})
     values ('${name}', '${checksum}', '${name}'${ended === 'id' ? '' : ', now()'})`,
  );
const snapshotsOf = async (deploymentId: string) => {
  const { DBSnapshots = [] } = await lab.rds.send(new DescribeDBSnapshotsCommand({}));
  return DBSnapshots.filter(({ TagList }) => readMarks(TagList)['deployment-id'] === deploymentId);
};
const live = async () => {
  const instance = await lab.instance('orders');
  if (!instance) throw new Error('no instance');
  return instance;
};

/** Calls of RDS that `work` makes. */
async function rdsCalls(work: () => Promise<unknown>): Promise<string[]> {
  const calls: string[] = [];
  const end = lab.sandbox.context.api.intercept((call, next) => {
    if (call.context.service === 'rds') calls.push(call.context.operation);
    return next();
  });
  try {
    await work();
  } finally {
    end();
  }
  return calls;
}

describe('the snapshot', () => {
  test('is one, however often and concurrently it is asked for, and every answer says so', async () => {
    const event = { deploymentId: 'many', migrations: [{ name: '1_start', checksum: sum('a') }] };
    const answers = await Promise.all(Array.from({ length: 60 }, () => ask(event)));
    expect(await final(event)).toMatchObject({ status: 'available' });
    const made = await snapshotsOf('many');
    expect(made).toHaveLength(1);
    const ids = new Set(
      answers.map((answer) => ('snapshotId' in answer ? answer.snapshotId : answer.status)),
    );
    expect([...ids]).toEqual([made[0]?.DBSnapshotIdentifier]);
  });

  test('costs at most six calls of RDS, and three when asked again', async () => {
    const event = { deploymentId: 'calls', migrations: [{ name: '1_start' }] };
    const first = await rdsCalls(() => ask(event));
    expect(first).toContain('CreateDBSnapshot');
    expect(first.length).toBeLessThanOrEqual(6);
    expect((await rdsCalls(() => ask(event))).length).toBeLessThanOrEqual(3);
    await final(event);
    expect((await rdsCalls(() => ask(event))).length).toBeLessThanOrEqual(3);
  });

  test('holds what a recovery needs: settings, schema, migrations, and pinned versions of the secrets', async () => {
    await lab.sql(migrationTable);
    await record('_prisma_migrations', '1_start', sum('a'), 'finished_at');
    const event = {
      deploymentId: 'contents',
      migrations: [
        { name: '1_start', checksum: sum('a') },
        { name: '2_more', checksum: sum('b') },
      ],
      commit: 'abc123',
      actor: 'ada',
      runUrl: 'https://ci.example.com/1?x=(2)',
    };
    const answer = await final(event);
    expect(answer).toMatchObject({ status: 'available', notes: [] });
    const [snapshot] = await snapshotsOf('contents');
    const marks = readMarks(snapshot?.TagList);
    expect(marks).toMatchObject({
      role: 'pre-migration',
      environment: 'production',
      commit: 'abc123',
      actor: 'ada',
      'applied-count': '1',
      'applied-last': '1_start',
    });
    expect(readMigrations(snapshot?.TagList)?.names).toEqual(['2_more']);
    // The settings suffice to restore with, as those of the live instance do.
    const settings = readSettings(snapshot?.TagList);
    expect(settings && restoreSettings(settings)).toEqual(restoreSettings(await live()));
    const again = await lab.checkMigrations({ migrations: null, schema: null });
    expect(marks['schema-fingerprint']).toBe(again.schemaFingerprint);
    await lab.sql('create table another (id int)');
    const changed = await lab.checkMigrations({ migrations: null, schema: null });
    expect(changed.schemaFingerprint).not.toBe(again.schemaFingerprint);

    for (const [secretId, version] of [
      [lab.databaseUrlSecretId, marks['database-url-version']],
      [lab.masterSecretId, marks['master-version']],
    ] as const) {
      const described = await lab.secrets.send(new DescribeSecretCommand({ SecretId: secretId }));
      expect(described.VersionIdsToStages?.[version ?? '']).toContain(
        `migration-rollback-kept-${(version ?? '').slice(0, 12)}`,
      );
    }
    // What CI prints is an input that the machine takes.
    if (answer.status !== 'available') throw new Error('unreachable');
    expect(RestoreRequest.parse(answer.recoveryInput.restore)).toEqual({
      to: 'snapshot',
      snapshotId: snapshot?.DBSnapshotIdentifier,
    });
  });

  test('a version of the secret that a rotation has replaced twice is still there', async () => {
    const { value, versionId } = await currentSecret(lab.secrets, lab.masterSecretId);
    await final({ deploymentId: 'rotation' });
    for (const _ of [1, 2])
      await lab.secrets.send(
        new PutSecretValueCommand({ SecretId: lab.masterSecretId, SecretString: value }),
      );
    const { VersionIdsToStages } = await lab.secrets.send(
      new DescribeSecretCommand({ SecretId: lab.masterSecretId }),
    );
    expect(VersionIdsToStages?.[versionId]).toEqual([`migration-rollback-kept-${versionId.slice(0, 12)}`]);
  });

  test('deleted by hand in between, it is made anew', async () => {
    const event = { deploymentId: 'deleted', migrations: [{ name: '1_start' }] };
    const answer = await final(event);
    if (answer.status !== 'available' || !('snapshotId' in answer)) throw new Error('no snapshot');
    await lab.rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: answer.snapshotId }));
    expect(await ask(event)).toMatchObject({ status: 'creating', snapshotId: answer.snapshotId });
    expect(await final(event)).toMatchObject({ status: 'available', snapshotId: answer.snapshotId });
  });

  test('whose tags were edited by hand is not taken for ours', async () => {
    const event = { deploymentId: 'edited' };
    await final(event);
    const [snapshot] = await snapshotsOf('edited');
    await lab.rds.send(
      new RemoveTagsFromResourceCommand({
        ResourceName: snapshot?.DBSnapshotArn,
        TagKeys: ['migration-rollback:role'],
      }),
    );
    expect(await ask(event)).toMatchObject({ status: 'refused', error: 'SnapshotUnusable' });
  });

  test('is waited for while the instance is busy', async () => {
    await lab.rds.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: 'orders' }));
    const event = { deploymentId: 'busy' };
    const answer = await ask(event);
    expect(['creating', 'refused']).toContain(answer.status);
    if (answer.status === 'creating') expect(answer.waitingFor).toContain('orders');
    expect(
      await until(
        () => ask(event),
        ({ status }) => status === 'available',
      ),
    ).toMatchObject({ status: 'available' });
  });

  test('500 pending migrations with long names fit, and 2,001 are refused', async () => {
    const migrations = Array.from({ length: 500 }, (_, index) => ({
      name: `${String(index).padStart(4, '0')}_${'n'.repeat(195)}`,
      checksum: sum('c'),
    }));
    expect(await final({ deploymentId: 'long', migrations })).toMatchObject({ status: 'available' });
    const [snapshot] = await snapshotsOf('long');
    expect(snapshot?.TagList?.length).toBeLessThanOrEqual(50);
    expect(readMigrations(snapshot?.TagList)).toMatchObject({ count: 500, complete: false });
    const many = Array.from({ length: 2001 }, (_, index) => ({ name: String(index) }));
    expect(await ask({ deploymentId: 'many', migrations: many })).toMatchObject({
      status: 'refused',
      error: 'InvalidInput',
      reason: containing('at most 2000 entries'),
    });
  });
});

describe('what the database says', () => {
  test('nothing pending: no snapshot', async () => {
    await lab.sql(migrationTable);
    await record('_prisma_migrations', '1_start', sum('a'), 'finished_at');
    const event = { deploymentId: 'nothing', migrations: [{ name: '1_start', checksum: sum('b') }] };
    expect(await ask(event)).toMatchObject({ status: 'skipped', reason: containing('Nothing is pending') });
    expect(await snapshotsOf('nothing')).toEqual([]);
  });

  test('a failed migration refuses, a resolved one does not, and that of another project is a note', async () => {
    await lab.sql('create schema billing');
    await lab.sql(migrationTable);
    await lab.sql(migrationTable.replace('_prisma_migrations', 'billing._prisma_migrations'));
    await record('_prisma_migrations', '1_half', sum('a'), 'id');
    const event = { deploymentId: 'failed', migrations: [{ name: '2_more' }] };
    expect(await ask(event)).toMatchObject({
      status: 'refused',
      error: 'MigrationFailed',
      reason: containing('1_half'),
    });
    // The other project is not held up, and is told.
    expect(await final({ ...event, deploymentId: 'billing', schema: 'billing' })).toMatchObject({
      status: 'available',
      notes: [containing('public.1_half')],
    });
    await lab.sql('update _prisma_migrations set rolled_back_at = now()');
    expect(await final(event)).toMatchObject({ status: 'available', notes: [] });
  });

  test('the table is looked for in the schema of DATABASE_URL', async () => {
    const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
    await lab.sql('create schema billing');
    await lab.sql(migrationTable.replace('_prisma_migrations', 'billing._prisma_migrations'));
    await record('billing._prisma_migrations', '1_start', sum('a'), 'finished_at');
    const migrations = [{ name: '1_start' }];
    expect((await lab.checkMigrations({ migrations, schema: null })).pending).toEqual(['1_start']);
    await lab.secrets.send(
      new PutSecretValueCommand({
        SecretId: lab.databaseUrlSecretId,
        SecretString: `${value}&schema=billing`,
      }),
    );
    expect((await lab.checkMigrations({ migrations, schema: null })).pending).toEqual([]);
    await lab.secrets.send(
      new PutSecretValueCommand({ SecretId: lab.databaseUrlSecretId, SecretString: value }),
    );
  });

  test("Prisma 8's ledger counts, in its later and its earlier form", async () => {
    await lab.sql('create schema prisma_contract');
    await lab.sql(
      `create table prisma_contract.ledger (id bigserial primary key, created_at timestamptz not null default now(),
         space text not null, migration_name text not null, migration_hash text not null, destination_core_hash text not null)`,
    );
    await lab.sql(
      `insert into prisma_contract.ledger (space, migration_name, migration_hash, destination_core_hash)
       values ('app', '20260902T1300_init', 'h1', 'c1')`,
    );
    const migrations = [{ name: '20260902T1300_init' }, { name: '20260903T0900_next' }];
    const later = await lab.checkMigrations({ migrations, schema: null });
    expect(later).toMatchObject({
      pending: ['20260903T0900_next'],
      applied: { count: 1, last: '20260902T1300_init' },
    });
    await lab.sql(
      'alter table prisma_contract.ledger drop column migration_name, drop column migration_hash',
    );
    expect((await lab.checkMigrations({ migrations, schema: null })).applied.last).toBe('c1');
  });

  test('a held migration lock refuses and names the session', async () => {
    const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
    const { ssl: _, ...login } = { ...readLogin(value), ssl: undefined };
    const other = new Client({ ...login, ssl: { rejectUnauthorized: true }, application_name: 'deploy-7' });
    await other.connect();
    try {
      await other.query('select pg_advisory_lock(72707369)');
      expect(await ask({ deploymentId: 'locked' })).toMatchObject({
        status: 'refused',
        error: 'MigrationRunning',
        reason: containing('deploy-7'),
      });
    } finally {
      await other.end();
    }
    expect(await final({ deploymentId: 'locked' })).toMatchObject({ status: 'available' });
  });

  test('that it cannot be asked is a refusal', async () => {
    const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
    await lab.secrets.send(
      new PutSecretValueCommand({
        SecretId: lab.databaseUrlSecretId,
        SecretString: value.replace(/:[^:@/]+@/, ':wrong@'),
      }),
    );
    expect(await ask({ deploymentId: 'unasked' })).toMatchObject({
      status: 'refused',
      error: 'LoginRefused',
    });
    await lab.secrets.send(
      new PutSecretValueCommand({ SecretId: lab.databaseUrlSecretId, SecretString: value }),
    );
  });
});

describe('what else stands in the way', () => {
  test('a quarantined migration is refused unchanged, lets a changed one pass with a note', async () => {
    const instance = await live();
    const quarantine = addToQuarantine([], [{ name: '2_bad', checksum: sum('b') }], '0123456789');
    await lab.rds.send(
      new AddTagsToResourceCommand({
        ResourceName: instance.DBInstanceArn,
        Tags: writeQuarantine(quarantine),
      }),
    );
    const bad = (checksum?: string) => ({
      deploymentId: `quarantine-${checksum ?? ''}`,
      migrations: [{ name: '2_bad', ...(checksum ? { checksum } : {}) }],
    });
    const refused = { status: 'refused', error: 'MigrationQuarantined', reason: containing('0123456789') };
    expect(await ask(bad(sum('b')))).toMatchObject(refused);
    // Without a checksum nobody knows that it was changed.
    expect(await ask(bad())).toMatchObject(refused);
    expect(await final(bad(sum('d')))).toMatchObject({ status: 'available', notes: [containing('2_bad')] });
    // A recovery that was stopped expected to take another content of it away: the earlier one is no better for that.
    await lab.rds.send(
      new AddTagsToResourceCommand({
        ResourceName: instance.DBInstanceArn,
        Tags: writeQuarantine(
          addToQuarantine(quarantine, [{ name: '2_bad', checksum: sum('e') }], '9876543210'),
        ),
      }),
    );
    expect(await ask(bad(sum('b')))).toMatchObject(refused);
    expect(await ask(bad(sum('e')))).toMatchObject({ ...refused, reason: containing('9876543210') });
    await lab.rds.send(
      new RemoveTagsFromResourceCommand({
        ResourceName: instance.DBInstanceArn,
        TagKeys: quarantineKeys((await live()).TagList),
      }),
    );
  });

  test('a quarantine that a person lifts: who and why is kept, and the gate says so', async () => {
    const instance = await live();
    const bad = { name: '2_bad', checksum: sum('b') };
    const long = { name: `3_${'ü'.repeat(120)}`, checksum: sum('c') };
    const quarantine = (recoveryId: string) =>
      lab.rds.send(
        new AddTagsToResourceCommand({
          ResourceName: instance.DBInstanceArn,
          Tags: writeQuarantine(addToQuarantine([], [bad, long], recoveryId)),
        }),
      );
    await quarantine('0123456789');
    const lift = (migration: string, requestedBy: string, reason = 'not at fault: adds an index (only)') =>
      liftQuarantine({ migration, requestedBy, reason }, lab);

    await expect(lift('2_good', 'ada')).rejects.toMatchObject({
      name: 'QuarantineNotLifted',
      message: containing('In it: 3_'),
    });
    const lifted = await lift('2_bad', 'ada@example.com');
    expect(lifted).toMatchObject({
      migration: '2_bad',
      recoveryId: '0123456789',
      lift: { by: 'ada@example.com', reason: 'not at fault: adds an index _only_' },
    });
    // The first one's name and reason stay.
    expect(await lift('2_bad', 'bob', 'me, too')).toEqual(lifted);
    expect(await ask({ deploymentId: 'long', migrations: [bad, long] })).toMatchObject({
      status: 'refused',
      error: 'MigrationQuarantined',
      reason: expect.not.stringContaining('2_bad') as string,
    });
    expect((await lift(long.name, 'ada')).stillInQuarantine).toEqual([]);
    expect(await final({ deploymentId: 'lifted', migrations: [bad, long] })).toMatchObject({
      status: 'available',
      notes: [
        `2_bad was taken away by recovery 0123456789; ada@example.com lifted its quarantine at ${lifted.lift.at}: not at fault: adds an index _only_`,
        containing('ada lifted its quarantine'),
      ],
    });

    // Taken away once more, by another recovery: it is in quarantine again.
    await quarantine('9876543210');
    expect(await ask({ deploymentId: 'again', migrations: [bad] })).toMatchObject({ status: 'refused' });

    const untag = (keys: (string | undefined)[]) =>
      lab.rds.send(
        new RemoveTagsFromResourceCommand({
          ResourceName: instance.DBInstanceArn,
          TagKeys: keys.flatMap((key) => key ?? []),
        }),
      );
    const own = (await live()).TagList ?? [];
    await untag(own.map(({ Key }) => Key).filter((key) => key?.includes('lifted-')));
    const room = 50 - ((await live()).TagList ?? []).length;
    const full = Array.from({ length: room }, (_, index) => ({ Key: `team-${index}`, Value: 'x' }));
    await lab.rds.send(new AddTagsToResourceCommand({ ResourceName: instance.DBInstanceArn, Tags: full }));
    await expect(lift('2_bad', 'ada')).rejects.toMatchObject({
      name: 'QuarantineNotLifted',
      message: containing('50 tags'),
    });
    await untag([...quarantineKeys((await live()).TagList), ...full.map(({ Key }) => Key)]);
  });

  test('a recovery that runs, not a plan, not one that was stopped', async () => {
    const available = { status: 'available' };
    expect(await final({ deploymentId: 'recovering' })).toMatchObject(available);
    const machine = await lab.machineThatRuns('waiting');
    await lab.plan({}, 'only-a-plan', machine);
    expect(await ask({ deploymentId: 'recovering' })).toMatchObject(available);
    const recovery = await lab.planned({ requestedBy: 'ada@example.com' }, 'night', machine);
    const { arn: executionArn } = recovery.execution;
    await takeClaim(recovery, lab);
    const refused = { status: 'refused', error: 'RecoveryAlreadyRunning' };
    const answer = await ask({ deploymentId: 'recovering' });
    expect(answer).toMatchObject({ ...refused, reason: containing('night') });
    expect(answer).toMatchObject({ ...refused, reason: containing('ada@example.com') });
    await expect(
      liftQuarantine({ migration: '2_bad', requestedBy: 'ada', reason: 'x' }, lab),
    ).rejects.toMatchObject({ name: 'RecoveryAlreadyRunning' });
    await lab.stepFunctions.send(new StopExecutionCommand({ executionArn }));
    expect(await ask({ deploymentId: 'recovering' })).toMatchObject({
      status: 'available',
    });
  });

  test('a recovery that runs only until its cutover is proven: the hotfix need not wait for the retirement', async () => {
    const bad = { name: '2_bad', checksum: sum('b') };
    const machine = await lab.machineThatRuns('waiting-for-approval');
    await final({ deploymentId: 'before-it' });
    // A cutover without a restore: what is live is taken for the instance of the recovery.
    const planned = await lab.planned({ restore: { to: 'latest-snapshot' } }, 'hotfix', machine);
    const instance = planned.live;
    const recovery = { ...planned, live: { ...planned.live, instanceId: 'none' } };
    await takeClaim(recovery, lab);
    const arn = (await live()).DBInstanceArn;
    const tag = (tags: Tag[]) =>
      lab.rds.send(new AddTagsToResourceCommand({ ResourceName: arn, Tags: tags }));
    // Of the restore points, two were pending; only one of them was really there to be taken away.
    await tag([
      ...writeMarks({ 'recovery-id': recovery.id }),
      ...writeQuarantine(addToQuarantine([], [bad, { name: '3_never' }], recovery.id)),
    ]);
    const hotfix = { deploymentId: 'hotfix', migrations: [{ name: '4_hotfix', checksum: sum('4') }] };
    const refused = {
      status: 'refused',
      error: 'RecoveryAlreadyRunning',
      reason: containing('not proven yet'),
    };
    expect(await ask(hotfix)).toMatchObject(refused);
    // The mark of another recovery, that gave this instance its place once, is none of this one's.
    await tag(writeMarks({ 'cutover-proven': '0123456789' }));
    expect(await ask(hotfix)).toMatchObject(refused);

    const proven = () => markCutoverProven(lab.rds, instanceNow, recovery.id, [bad]);
    let instanceNow = await live();
    await proven();
    instanceNow = await live();
    await proven();
    expect(await final(hotfix)).toMatchObject({
      status: 'available',
      instanceId: instance.instanceId,
      notes: [containing('its cutover to orders is proven')],
    });
    expect(await ask({ deploymentId: 'again', migrations: [bad] })).toMatchObject({
      status: 'refused',
      error: 'MigrationQuarantined',
    });
    const never = { name: '3_never', checksum: sum('3') };
    expect(await final({ deploymentId: 'never-ran', migrations: [never] })).toMatchObject({
      status: 'available',
    });
    await liftQuarantine({ migration: '2_bad', requestedBy: 'ada', reason: 'not at fault' }, lab);
    expect(await final({ deploymentId: 'lifted', migrations: [bad] })).toMatchObject({ status: 'available' });

    await lab.stepFunctions.send(new StopExecutionCommand({ executionArn: recovery.execution.arn }));
    const keys = [...((await live()).TagList ?? [])].flatMap(({ Key = '' }) =>
      /quarantine|lifted|proven|recovery-id/.test(Key) ? [Key] : [],
    );
    await lab.rds.send(new RemoveTagsFromResourceCommand({ ResourceName: arn, TagKeys: keys }));
  });

  test.each([
    [{ deploymentId: 'x', commmit: 'typo' }, 'commmit'],
    [{ deploymentId: '' }, 'deploymentId'],
    [{ deploymentId: 'x', migrations: [{ name: 'm', checksum: 'short' }] }, 'migrations.0.checksum'],
    [{ deploymentId: 'x', restorePoint: 'later' }, 'restorePoint'],
    [{}, 'deploymentId'],
    [{ deploymentId: 4711 }, 'deploymentId'],
    [{ deploymentId: 'd'.repeat(201) }, 'deploymentId'],
    [{ deploymentId: 'x', schema: 's'.repeat(64) }, 'schema'],
    [{ deploymentId: 'x', outcome: 'maybe' }, 'outcome'],
    [{ deploymentId: 'x', migrations: { name: 'm' } }, 'migrations'],
    [{ deploymentId: 'x', migrations: [{ name: 'm'.repeat(256) }] }, 'migrations.0.name'],
    [{ deploymentId: 'x', migrations: [{ name: 'm', checksum: 'A'.repeat(64) }] }, 'migrations.0.checksum'],
    [{ deploymentId: 'x', migrations: [{ name: 'm', applied: true }] }, 'migrations.0.applied'],
    [null, 'the whole'],
  ])('%j is refused by field', async (event, field) => {
    expect(await preMigrationSnapshot(event, lab)).toMatchObject({
      status: 'refused',
      error: 'InvalidInput',
      reason: containing(field),
    });
  });
});

describe('what is strange, and not wrong', () => {
  test.each(['部署'.repeat(100), '../../etc', '--', `it's "quoted"\n\u0000`, '🚀'.repeat(50)])(
    'the deployment %j gets a snapshot of its own, the same at every try',
    async (deploymentId) => {
      const answer = await ask({ deploymentId });
      if (!('snapshotId' in answer)) throw new Error(JSON.stringify(answer));
      expect(answer.snapshotId).toMatch(/^[a-z](?:-?[a-z0-9])*$/);
      expect(await final({ deploymentId })).toMatchObject({
        status: 'available',
        snapshotId: answer.snapshotId,
      });
      const other = await ask({ deploymentId: `${deploymentId.slice(0, 199)}x` });
      expect(other).toMatchObject({
        snapshotId: expect.not.stringMatching(`^${answer.snapshotId}$`) as string,
      });
    },
  );

  test('tags of the quarantine and of markers that somebody edited', async () => {
    const { DBInstanceArn: ResourceName } = await live();
    const tags = {
      quarantine: 'no colon :: 2_bad:zz:zz a:b:c:d',
      'lifted-0123456789': 'nonsense',
      'point-0123456789': 'yesterday - nobody',
      'point-abcdefabcd': '2026-11-21T10:00:00Z',
    };
    const keys = Object.keys(tags).map((key) => `migration-rollback:${key}`);
    const Tags = Object.values(tags).map((Value, index) => ({ Key: keys[index], Value }));
    await lab.rds.send(new AddTagsToResourceCommand({ ResourceName, Tags }));
    // In doubt it is refused: the content is not the one that the tag names, so a checksum helps.
    expect(await ask({ deploymentId: 'strange', migrations: [{ name: '2_bad' }] })).toMatchObject({
      status: 'refused',
      error: 'MigrationQuarantined',
    });
    expect(await final({ deploymentId: 'strange', migrations: [{ name: '3_good' }] })).toMatchObject({
      status: 'available',
    });
    await lab.rds.send(new RemoveTagsFromResourceCommand({ ResourceName, TagKeys: keys }));
  });
});

describe('a point in time', () => {
  test.each([-1, 1])('a clock that is off by %d h does not mark a wrong moment', async (hours) => {
    await until(live, ({ LatestRestorableTime }) => LatestRestorableTime !== undefined);
    const off = lab.gate({ now: () => new Date(lab.now().getTime() + hours * 3_600_000) });
    const event = { deploymentId: `clock ${hours}`, restorePoint: 'point-in-time' };
    // A snapshot instead: RDS knows the time of that itself.
    expect(await preMigrationSnapshot(event, off)).toMatchObject({
      status: 'creating',
      snapshotId: containing('pre-migration'),
    });
    expect(await final(event)).toMatchObject({ status: 'available' });
  });

  test('is a marker, made in one go, the same when asked again; the outcome is recorded with it', async () => {
    await until(live, ({ LatestRestorableTime }) => LatestRestorableTime !== undefined);
    const event = {
      deploymentId: 'time 1',
      migrations: [{ name: '2_more', checksum: sum('b') }],
      restorePoint: 'point-in-time',
    };
    const calls = await rdsCalls(async () => {
      expect(await ask(event)).toMatchObject({ status: 'available', instanceId: 'orders' });
    });
    expect(calls).not.toContain('CreateDBSnapshot');
    expect(calls.length).toBeLessThanOrEqual(6);
    const again = await ask(event);
    expect(again).toEqual(await ask(event));
    expect(await ask({ deploymentId: 'time 1', outcome: 'failed' })).toEqual({
      status: 'recorded',
      outcome: 'failed',
    });
    expect(await ask(event)).toEqual(again);
  });

  test('old markers make room', async () => {
    for (let index = 0; index < 14; index++)
      await ask({ deploymentId: `often-${index}`, restorePoint: 'point-in-time' });
    const markers = ((await live()).TagList ?? []).filter(({ Key }) => Key?.includes(':point-'));
    expect(markers).toHaveLength(10);
  });
});

test('how the migration ended is recorded with the snapshot', async () => {
  await final({ deploymentId: 'ended' });
  expect(await ask({ deploymentId: 'ended', outcome: 'failed' })).toEqual({
    status: 'recorded',
    outcome: 'failed',
  });
  const [snapshot] = await snapshotsOf('ended');
  expect(readMarks(snapshot?.TagList)).toMatchObject({ role: 'pre-migration', outcome: 'failed' });
  expect(await ask({ deploymentId: 'never', outcome: 'succeeded' })).toMatchObject({ status: 'skipped' });
});

/** The account has used so many of its 100 manual snapshots. */
async function withUsed<T>(used: number, work: () => Promise<T>): Promise<T> {
  const end = lab.sandbox.context.api.intercept(({ context }, next) =>
    context.operation === 'DescribeAccountAttributes'
      ? Promise.resolve({ AccountQuotas: [{ AccountQuotaName: 'ManualSnapshots', Used: used, Max: 100 }] })
      : next(),
  );
  try {
    return await work();
  } finally {
    end();
  }
}

test('the last two of the quota are kept for a recovery, with the numbers; before that there is a note', async () => {
  expect(await withUsed(98, () => ask({ deploymentId: 'too many' }))).toMatchObject({
    status: 'refused',
    error: 'SnapshotQuotaExceeded',
    reason: containing('98 of 100'),
  });
  expect(await snapshotsOf('too many')).toEqual([]);
  expect(await withUsed(97, () => final({ deploymentId: 'nearly' }))).toMatchObject({
    status: 'available',
    notes: [containing('97 of 100')],
  });
  expect(await withUsed(90, () => ask({ deploymentId: 'nearly' }))).toMatchObject({ notes: [] });
});
