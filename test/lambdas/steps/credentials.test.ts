import { PutSecretValueCommand, UpdateSecretVersionStageCommand } from '@aws-sdk/client-secrets-manager';
import { moveEndpoint, readLogin } from '../../../lambdas/database-url';
import { canLogIn, identifier, withConnection } from '../../../lambdas/postgres';
import { scramVerifier } from '../../../lambdas/scram';
import { currentSecret, masterLogins } from '../../../lambdas/secrets';
import { matchCredentials } from '../../../lambdas/steps/match-credentials';
import { Lab } from './lab';

// A real server; on a busy machine that takes its time.
jest.setTimeout(180_000);

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
