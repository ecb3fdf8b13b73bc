import { PutSecretValueCommand, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import type { Recovery } from '../../../lambdas/contract/recovery';
import { moveEndpoint, readLogin } from '../../../lambdas/database-url';
import { backupWindow } from '../../../lambdas/point-in-time';
import { canLogIn, identifier, withConnection } from '../../../lambdas/postgres';
import { scramVerifier } from '../../../lambdas/scram';
import { currentSecret, masterLogins, readMasterCredentials } from '../../../lambdas/secrets';
import { checkRestoredInstance } from '../../../lambdas/steps/check-restored-instance';
import { matchCredentials } from '../../../lambdas/steps/match-credentials';
import { recordPosition } from '../../../lambdas/steps/record-position';
import { findSnapshot } from '../../../lambdas/rds';
import { takeSafetySnapshot } from '../../../lambdas/steps/take-safety-snapshot';
import { startRestore } from '../../../lambdas/steps/start-restore';
import { Lab, again } from './lab';
import { until } from '../../until';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.start();
  await lab.snapshot('run-1');
});
afterAll(() => lab.stop());

/** Mulberry32: the same numbers for the same seed, so that a failure can be had again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Every character that means something in a URL, in SQL or in JSON, and some that are more than one byte. */
const ODD = [
  ...Array.from(' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'),
  '%41',
  '%zz',
  'ü',
  'ß',
  '日',
  '😀',
  'a',
  'B',
  '7',
];

function passwords(seed: number, count: number): string[] {
  const next = random(seed);
  const one = (): string =>
    Array.from({ length: 1 + Math.floor(next() * 24) }, () => ODD[Math.floor(next() * ODD.length)]).join('');
  return Array.from({ length: count }, one);
}

test.each(['masterSecretId', 'databaseUrlSecretId'] as const)(
  'a rotation of %s that is under way is waited for',
  async (secret) => {
    const recovery = await lab.planned();
    const secretId = lab[secret];
    const { value } = await currentSecret(lab.secrets, secretId);
    const { VersionId } = await lab.secrets.send(
      new PutSecretValueCommand({ SecretId: secretId, SecretString: value, VersionStages: ['AWSPENDING'] }),
    );
    const match = (): Promise<unknown> => matchCredentials({ recovery, instance: recovery.live }, lab);
    await expect(match()).rejects.toMatchObject({
      name: 'CredentialsNotReady',
      message: expect.stringContaining('rotation') as unknown,
    });
    if (secret === 'databaseUrlSecretId')
      expect((await lab.plan({})).plan.summary.join('\n')).toContain(
        'A rotation of DATABASE_URL is under way',
      );
    await lab.secrets.send(
      new UpdateSecretVersionStageCommand({
        SecretId: secretId,
        VersionStage: 'AWSPENDING',
        RemoveFromVersionId: VersionId,
      }),
    );
    expect(await match()).toMatchObject({ applicationRole: 'orders_app' });
  },
);

test('a drill finds that the fence could not be raised, and raises none', async () => {
  const server = lab.sandbox.rds.server('orders');
  const recovery = await lab.planned();
  const match = (mode: Recovery['mode']): Promise<unknown> =>
    matchCredentials({ recovery: { ...recovery, mode }, instance: recovery.live }, lab);
  await expect(match('drill')).resolves.toMatchObject({ applicationRole: 'orders_app' });
  await server?.admin('create role stranger');
  await server?.admin('alter database orders owner to stranger');
  await expect(match('drill')).rejects.toMatchObject({
    name: 'FenceFailed',
    message: expect.stringContaining('may not change who connects to database "orders"') as unknown,
  });
  // Who knows of it has granted that by now: of an older restore point that would say nothing.
  await expect(match('recover')).resolves.toMatchObject({ applicationRole: 'orders_app' });
  expect(await server?.admin(`select rolname from pg_roles where rolname = 'migration_rollback'`)).toEqual(
    [],
  );
  await server?.admin('alter database orders owner to master');
});

function databaseTimeOf({ restorePoint }: Recovery): string {
  return restorePoint.kind === 'snapshot' ? restorePoint.databaseTime : restorePoint.time;
}

test('after two rotations of both passwords those pinned with the snapshot let this system in: RDS has nothing to set', async () => {
  await lab.snapshot('pinned');
  const master = readMasterCredentials((await currentSecret(lab.secrets, lab.masterSecretId)).value);
  const { value: url } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const store = (SecretId: string, SecretString: string) =>
    lab.secrets.send(new PutSecretValueCommand({ SecretId, SecretString }));
  for (const password of ['second-Password2', 'third-Password3']) {
    await store(lab.masterSecretId, JSON.stringify({ ...master, password }));
    await store(lab.databaseUrlSecretId, url.replace(/:[^:@]*@/, `:${password}@`));
  }
  const recovery = await lab.planned({ restore: { to: 'latest-pre-migration-snapshot' } });
  await startRestore({ recovery }, lab);
  const instance = await again('InstanceNotReady', () => checkRestoredInstance({ recovery }, lab));

  expect(await recordPosition({ recovery, instance }, lab)).toMatchObject({
    masterUserKnown: true,
    recorded: true,
  });
  expect(await matchCredentials({ recovery, instance }, lab)).toMatchObject({
    applicationPassword: 'set to the current one',
  });
  const { host, port } = instance;
  const last = { host, port, password: 'third-Password3', database: 'orders' };
  for (const user of ['master', 'orders_app'])
    expect({ user, letIn: await canLogIn({ ...last, user }) }).toEqual({ user, letIn: true });

  // Without what the snapshot names nobody would have got in.
  const unnamed = { ...recovery, restorePoint: { ...recovery.restorePoint, secretVersions: undefined } };
  await withConnection({ ...last, user: 'master' }, async (connection) => {
    for (const { user, password } of [
      { user: 'master', password: master.password },
      { user: 'orders_app', password: readLogin(url).password },
    ])
      await connection.query(`alter role ${identifier(user)} password '${scramVerifier(password)}'`);
  });
  expect(await recordPosition({ recovery: unnamed, instance }, lab)).toMatchObject({
    masterUserKnown: false,
  });

  // Of a time it is known from the snapshots around it, whichever of them has the password of then.
  await until(
    () => takeSafetySnapshot({ recovery }, lab),
    ({ taken }) => taken,
  );
  await until(
    () => findSnapshot(lab.rds, recovery.safetySnapshotId),
    (snapshot) => snapshot?.Status === 'available',
  );
  const { DbiResourceId = '' } = (await lab.instance('orders')) ?? {};
  const taken = Date.parse(databaseTimeOf(recovery)) + 1000;
  await until(
    () => backupWindow(lab.rds, DbiResourceId),
    (window) => window !== undefined && window.to.getTime() > taken,
  );
  const restore = { to: 'time', time: new Date(taken).toISOString() };
  const { restorePoint } = await lab.planned({ restore });
  const pinned = recovery.restorePoint.kind === 'snapshot' ? recovery.restorePoint.secretVersions : undefined;
  const current = async (id: string) => (await currentSecret(lab.secrets, id)).versionId;
  expect(restorePoint).toMatchObject({
    secretVersionsAround: {
      databaseUrl: [pinned?.databaseUrl, await current(lab.databaseUrlSecretId)],
      master: [pinned?.master, await current(lab.masterSecretId)],
    },
  });
  expect(await recordPosition({ recovery: { ...recovery, restorePoint }, instance }, lab)).toMatchObject({
    masterUserKnown: true,
  });
  // As it was, for the other tests.
  await store(lab.masterSecretId, JSON.stringify(master));
  await store(lab.databaseUrlSecretId, url);
});

test('whatever password: PostgreSQL lets in who reads it from the secret, before and after the endpoint has moved', async () => {
  const seed = 20_261_122;
  const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const { host, port, user, database } = readLogin(value);
  const [master] = await masterLogins(lab.secrets, lab.masterSecretId, { host, port, database });
  const elsewhere = { host: 'elsewhere.example.com', port: 6543 };
  const urlWith = (password: string): string =>
    value.replace(/:[^:@]*@/, () => `:${encodeURIComponent(password)}@`);
  for (const password of passwords(seed, 200)) {
    const fields = { host, port, username: user, password, dbname: database };
    const url = urlWith(password);
    for (const secret of [url, JSON.stringify({ url }), JSON.stringify(fields)]) {
      const there = moveEndpoint(secret, { host, port }, elsewhere);
      const back = moveEndpoint(there, elsewhere, { host, port });
      expect({ seed, login: readLogin(there) }).toMatchObject({ login: { ...elsewhere, user, password } });
      expect({ seed, login: readLogin(back) }).toMatchObject({ login: { host, port, user, password } });
    }
  }
  for (const password of passwords(seed, 12)) {
    await withConnection(master, (connection) =>
      connection.query(`alter role ${identifier(user)} password '${scramVerifier(password)}'`),
    );
    const moved = moveEndpoint(urlWith(password), { host, port }, elsewhere);
    const login = readLogin(moveEndpoint(moved, elsewhere, { host, port }));
    expect({ seed, password, letIn: await canLogIn(login) }).toEqual({ seed, password, letIn: true });
  }
});
