import {
  AddTagsToResourceCommand,
  CopyDBSnapshotCommand,
  DeleteDBSnapshotCommand,
  DescribeDBSnapshotAttributesCommand,
  DescribeDBSnapshotsCommand,
  ModifyDBSnapshotAttributeCommand,
  RemoveTagsFromResourceCommand,
  type DBSnapshot,
  type RDSClient,
} from '@aws-sdk/client-rds';
import { App, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { join } from 'node:path';
import type { BringBackCopyResult, CopyToVaultResult } from '../../../lambdas/contract/copies';
import type { VaultRules } from '../../../lambdas/contract/rules';
import { bringBackCopy } from '../../../lambdas/steps/bring-back-copy';
import { copyToVault } from '../../../lambdas/steps/copy-to-vault';
import { reapSnapshots } from '../../../lambdas/steps/reap-snapshots';
import { reapVault } from '../../../lambdas/steps/reap-vault';
import { restorePoints } from '../../../lambdas/steps/restore-points';
import { readMarks, writeMarks } from '../../../lambdas/tags';
import { ENVIRONMENTS } from '../../../lib/environments';
import { functionPermissions } from '../../../lib/permissions/function-permissions';
import { allow } from '../../../lib/permissions/permission';
import { homeRoleName } from '../../../lib/vault';
import { VaultStack } from '../../../lib/vault-stack';
import { AnswerLost, ApiError } from '../../../sandbox/core/api';
import { VirtualClock } from '../../../sandbox/core/clock';
import { Lab } from './lab';
import { until } from '../../until';

const DAY = 86_400_000;
const HOME = '123456789012';
const THERE = '222222222222';
const settings = {
  ...{ account: THERE, homeAccount: HOME, notify: [] },
  ...{ preMigrationDays: 5, dailyDays: 2, weeklyDays: 16, keepNewest: 1, newestAtMostHours: 36 },
};
const rules: VaultRules = {
  ...{ account: THERE, homeAccount: HOME },
  ...{ preMigrationDays: 5, dailyDays: 2, weeklyDays: 16, keepNewest: 1, newestAtMostHours: 36 },
  kmsKeyId: `arn:aws:kms:eu-central-1:${THERE}:alias/production-vault`,
};
const homeRules = { dailyDays: 1, weeklyDays: 1, keepNewest: 1, newestAtMostHours: 36 };

// GIVEN a database, another account with the stack of the vault, and the roles of both sides as they are synthesised
let lab: Lab;
/** Those of the functions at home, and those that they take over there. */
let copier: RDSClient;
let bringer: RDSClient;
let inVault: RDSClient;
let listing: RDSClient;
/** Who keeps the vault. */
let keeper: RDSClient;
const clock = new VirtualClock();

beforeAll(async () => {
  lab = await Lab.start(clock, { automatedBackupDays: 0 });
  const { sandbox } = lab;
  const app = new App({
    outdir: join(sandbox.context.directory, 'assembly'),
    context: { 'aws:cdk:bundling-stacks': [] },
  });
  const { production } = ENVIRONMENTS;
  // Without its schedule: time passes here by days, and the functions have no bundles.
  new VaultStack(app, 'Vault-Production', { settings: production, vault: settings }).node.tryRemoveChild(
    'Schedule',
  );
  addHomeRoles(new Stack(app, 'Home', { env: { account: HOME } }));
  await sandbox.deploy(app.synth().directory, ['Vault-Production', 'Home']);
  const as = (account: string, name: string): RDSClient =>
    sandbox.clients({ arn: `arn:aws:iam::${account}:role/production-${name}` }).rds;
  copier = as(HOME, 'copy-to-vault');
  bringer = as(HOME, 'bring-back-copy');
  inVault = as(THERE, 'vault-copy');
  listing = as(THERE, 'vault-list');
  keeper = sandbox.clients(sandbox.administrator(THERE)).rds;
});

afterAll(async () => {
  for (const client of [copier, bringer, inVault, listing, keeper]) client.destroy();
  await lab.stop();
});

function addHomeRoles(stack: Stack): void {
  const secret = Secret.fromSecretNameV2(stack, 'Secret', 'any');
  const scope = {
    environment: 'production',
    databaseUrlSecret: secret,
    masterSecret: secret,
    machineName: 'production-recovery',
    consumers: [],
    vault: settings,
  } as const;
  const permissions = functionPermissions(stack, scope);
  for (const name of ['copy-to-vault', 'bring-back-copy'] as const)
    allow(
      new iam.Role(stack, name, {
        roleName: homeRoleName(scope, name),
        assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      }),
      permissions[name],
    );
}

const vaultAs = (rds: RDSClient) => ({ rds, rules });
const copy = (failOnWarning = false): Promise<CopyToVaultResult> =>
  copyToVault(
    { failOnWarning },
    { rds: copier, vault: vaultAs(inVault), environment: 'production', now: lab.now },
  );
const isDone = ({ prepared, begun, underWay, waiting, cleared, notCopied }: CopyToVaultResult): boolean =>
  [...prepared, ...begun, ...underWay, ...cleared, ...notCopied].length + waiting === 0;
const copied = (): Promise<CopyToVaultResult> => until(copy, isDone);
const bringBack = (snapshotId?: string): Promise<BringBackCopyResult> =>
  bringBackCopy(
    { from: 'vault', ...(snapshotId !== undefined && { snapshotId }) },
    { rds: bringer, vault: vaultAs(inVault), environment: 'production', now: lab.now },
  );
const reapThere = (failOnWarning = false) =>
  reapVault(
    { dryRun: false, failOnWarning },
    { rds: keeper, rules, environment: 'production', now: lab.now },
  );
const home = () => {
  const { rds, secrets, stepFunctions, environment, databaseUrlSecretId, masterSecretId, now } = lab;
  const ids = { databaseUrlSecretId, masterSecretId };
  return { rds, secrets, stepFunctions, environment, now, rules: homeRules, vault: vaultAs(listing), ...ids };
};
const reapHome = () => reapSnapshots({ dryRun: false, failOnWarning: false }, home());
const snapshotsOf = async (rds: RDSClient): Promise<DBSnapshot[]> =>
  (await rds.send(new DescribeDBSnapshotsCommand({ SnapshotType: 'manual' }))).DBSnapshots ?? [];
const idsOf = async (rds: RDSClient): Promise<string[]> =>
  (await snapshotsOf(rds)).map(({ DBSnapshotIdentifier = '' }) => DBSnapshotIdentifier);
const passing = async (): Promise<DBSnapshot[]> =>
  (await snapshotsOf(lab.rds)).filter(({ TagList }) => readMarks(TagList).role === 'passing');
const snapshot = async (deploymentId: string, ...migrations: string[]): Promise<string> => {
  const made = await lab.snapshot(deploymentId, ...migrations);
  if (made.status !== 'available' || !('snapshotId' in made)) throw new Error(JSON.stringify(made));
  return made.snapshotId;
};
const remove = async (rds: RDSClient, id: string): Promise<void> => {
  await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: id }));
  await until(
    () => idsOf(rds),
    (ids) => !ids.includes(id),
  );
};
/** The next calls of an operation end like this. */
const next = (operation: string, how: () => Promise<never>, times = 1): void => {
  let left = times;
  const end = lab.sandbox.context.api.intercept(async ({ context }, go) => {
    if (context.operation !== operation) return go();
    if (--left === 0) end();
    if (how === lost) await go();
    return how();
  });
};
const lost = () => Promise.reject(new AnswerLost());
/** What was asked for of an operation, as `account:target`. */
const watched = async (work: () => Promise<unknown>): Promise<string[]> => {
  const asked: string[] = [];
  const end = lab.sandbox.context.api.intercept(({ context, input }, go) => {
    if (context.operation === 'CopyDBSnapshot')
      asked.push(`${context.accountId}:${String(input['TargetDBSnapshotIdentifier'])}`);
    return go();
  });
  await work().finally(end);
  return asked;
};

test('a snapshot goes over under its name, with its tags and an expiry of the vault, and nothing stays behind', async () => {
  const id = await snapshot('one', '1_start');
  const [source] = await snapshotsOf(lab.rds);
  await lab.rds.send(
    new AddTagsToResourceCommand({
      ResourceName: source?.DBSnapshotArn,
      Tags: [{ Key: 'migration-rollback:hold', Value: 'for the auditors' }],
    }),
  );

  // WHEN the first answer is lost, and two come at once
  next('CopyDBSnapshot', lost);
  await copy();
  await until(passing, ([one]) => one?.Status === 'available');
  // THEN what lies here meanwhile is under the key of the vault, and shared with nobody yet
  const [one] = await passing();
  expect(one?.KmsKeyId).toMatch(`arn:aws:kms:eu-central-1:${THERE}:key/`);
  expect(readMarks(one?.TagList)).toMatchObject({ 'copy-of': id, environment: 'production' });
  const asked = await watched(async () => {
    await Promise.all([copy(), copy()]);
    const { DBSnapshotAttributesResult: shared } = await lab.rds.send(
      new DescribeDBSnapshotAttributesCommand({ DBSnapshotIdentifier: one?.DBSnapshotIdentifier }),
    );
    expect(shared?.DBSnapshotAttributes?.[0]?.AttributeValues).toEqual([THERE]);
    await copied();
  });
  expect(new Set(asked)).toEqual(new Set([`${THERE}:${id}`]));

  const copies = await snapshotsOf(keeper);
  expect(copies.map(({ DBSnapshotIdentifier, Status }) => [DBSnapshotIdentifier, Status])).toEqual([
    [id, 'available'],
  ]);
  expect(copies[0]?.KmsKeyId).toBe(one?.KmsKeyId);
  expect(readMarks(copies[0]?.TagList)).toEqual({
    ...readMarks(source?.TagList),
    'expires-at': new Date(Number(source?.OriginalSnapshotCreateTime) + 5 * DAY).toISOString(),
  });
  expect(await idsOf(lab.rds)).toEqual([id]);
});

test('what is on its way is no restore point, and is left alone as long as it is needed', async () => {
  const id = await snapshot('two', '2_more');
  await copy();
  await until(passing, ([one]) => one?.Status === 'available');
  const passingId = (await passing())[0]?.DBSnapshotIdentifier ?? '';

  const { points } = await restorePoints({ limit: 1000 }, home());
  expect(points.map((point) => point.id)).not.toContain(passingId);
  const { recovery } = await lab.plan({ restore: { to: 'latest-pre-migration-snapshot' } });
  expect(recovery.restorePoint).toMatchObject({ snapshotId: id });
  await expect(lab.plan({ restore: { to: 'before-migration', migration: '2_more' } })).resolves.toMatchObject(
    { recovery: { restorePoint: { snapshotId: id } } },
  );
  await expect(lab.plan({ restore: { to: 'snapshot', snapshotId: passingId } })).rejects.toMatchObject({
    name: 'RestorePointNotFound',
    message: expect.stringContaining(id) as string,
  });
  expect((await reapHome()).deleted.map(({ snapshotId }) => snapshotId)).not.toContain(passingId);
  await copied();
  expect(await idsOf(keeper)).toContain(id);
});

test('a passing copy whose snapshot is gone is cleared away, and one that was forgotten by the reaper', async () => {
  const gone = await snapshot('gone', '3_gone');
  await copy();
  await until(passing, ([one]) => one?.Status === 'available');
  await remove(lab.rds, gone);
  await copied();
  expect(await passing()).toEqual([]);

  const id = await snapshot('forgotten', '4_forgotten');
  await copy();
  await until(passing, ([one]) => one?.Status === 'available');
  await clock.advance(2 * DAY);
  await reapHome();
  expect(await passing()).toHaveLength(1);
  await clock.advance(1.1 * DAY);
  expect((await reapHome()).deleted).toContainEqual({
    snapshotId: expect.stringContaining('-passing-') as string,
    why: `a passing copy of ${id} that was forgotten`,
  });
  await until(passing, (left) => left.length === 0);
  await copied();
  expect(await idsOf(keeper)).toContain(id);
});

test('what failed is made again: here at once, over there when the vault has cleared it away', async () => {
  const id = await snapshot('failing', '5_failing');
  await copy();
  const [one] = await passing();
  await until(passing, ([made]) => made?.Status === 'available');
  lab.sandbox.rds.failNext({ kind: 'snapshot', identifier: id, status: 'failed' });
  await until(
    async () => {
      await copy();
      return snapshotsOf(keeper);
    },
    (copies) => copies.some(({ Status }) => Status === 'failed'),
  );
  await expect(copy(true)).rejects.toMatchObject({
    name: 'SnapshotsNotCopied',
    message: expect.stringContaining('when the vault has cleared it away') as string,
  });
  expect((await passing())[0]?.DBSnapshotIdentifier).toBe(one?.DBSnapshotIdentifier);
  expect((await reapThere()).deleted).toEqual([{ snapshotId: id, why: 'RDS could not finish it' }]);
  await until(
    () => idsOf(keeper),
    (ids) => !ids.includes(id),
  );
  await copied();
  expect(await idsOf(keeper)).toContain(id);
});

test('what stands in the way is said in the words of AWS', async () => {
  const id = await snapshot('blocked', '6_blocked');
  next('CopyDBSnapshot', () =>
    Promise.reject(new ApiError('KMSKeyNotAccessibleFault', 'The key is disabled')),
  );
  await expect(copy(true)).rejects.toMatchObject({
    name: 'SnapshotsNotCopied',
    message: expect.stringContaining(
      `To account ${THERE}: ${id}: KMSKeyNotAccessibleFault: The key is disabled.`,
    ) as string,
  });
  await copied();
  expect(await idsOf(keeper)).toContain(id);
});

test.each([
  ['CopyDBSnapshot', 'prepared'],
  ['ModifyDBSnapshotAttribute', 'shared'],
  ['CopyDBSnapshot', 'begun'],
  ['DeleteDBSnapshot', 'cleared'],
])(
  'whether %s has no effect or no answer when a snapshot is to be %s, it goes over once',
  async (operation, when) => {
    for (const how of [lost, () => Promise.reject(new ApiError('InternalFailure', 'once more', 500))]) {
      const id = await snapshot(`${when}-${how === lost ? 'lost' : 'failed'}`, 'x');
      if (when !== 'prepared') {
        await copy();
        await until(passing, ([one]) => one?.Status === 'available');
      }
      if (when === 'cleared') {
        await copy();
        await until(
          () => snapshotsOf(keeper),
          (copies) => copies.some((made) => made.DBSnapshotIdentifier === id && made.Status === 'available'),
        );
      }
      // However often the client asks: the function ends here.
      next(operation, how, 3);
      await copy().catch(() => undefined);
      await until(
        () => copy().catch(() => undefined),
        (result) => result !== undefined && isDone(result),
      );
      expect((await idsOf(keeper)).filter((one) => one === id)).toHaveLength(1);
      expect(await passing()).toEqual([]);
    }
  },
);

test('a passing copy whose tags somebody took away is in the way, and that is said', async () => {
  const id = await snapshot('untagged', 'x');
  await copy();
  const [one] = await until(passing, ([made]) => made?.Status === 'available');
  await lab.rds.send(
    new RemoveTagsFromResourceCommand({
      ResourceName: one?.DBSnapshotArn,
      TagKeys: ['migration-rollback:role'],
    }),
  );
  expect((await copy()).notCopied).toEqual([
    {
      snapshotId: id,
      why: expect.stringMatching(/-passing-.* is there and is not a copy of this system/) as string,
    },
  ]);
  await remove(lab.rds, one?.DBSnapshotIdentifier ?? '');
  await copied();
  expect(await idsOf(keeper)).toContain(id);
});

test('few are on their way at a time, and none with the last snapshots of the quota', async () => {
  const ids = [await snapshot('a', 'a'), await snapshot('b', 'b'), await snapshot('c', 'c')];
  const end = lab.sandbox.context.api.intercept(({ context }, go) =>
    context.operation === 'DescribeAccountAttributes'
      ? Promise.resolve({
          AccountQuotas: [{ AccountQuotaName: 'ManualSnapshots', Used: 98, Max: 100 }],
        })
      : go(),
  );
  const { prepared, notCopied } = await copy().finally(end);
  expect(prepared).toEqual([]);
  expect(notCopied.map(({ why }) => why)).toEqual([
    expect.stringContaining('98 of 100 manual snapshots'),
    expect.stringContaining('The last 2 are kept for a recovery.'),
  ]);
  expect(await copy()).toMatchObject({ prepared: { length: 2 }, waiting: 1 });
  await copied();
  expect(await idsOf(keeper)).toEqual(expect.arrayContaining(ids));
});

test('nobody from home deletes a copy, changes its tags, or has it deleted sooner by what the tags say', async () => {
  const [id = ''] = await idsOf(keeper);
  const arn = `arn:aws:rds:eu-central-1:${THERE}:snapshot:${id}`;
  const refused = { name: 'AccessDenied' };
  for (const rds of [inVault, listing]) {
    await expect(rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: id }))).rejects.toMatchObject(
      refused,
    );
    const Tags = writeMarks({
      environment: 'production',
      role: 'scheduled',
      'expires-at': '2020-01-01T00:00:00.000Z',
    });
    await expect(rds.send(new AddTagsToResourceCommand({ ResourceName: arn, Tags }))).rejects.toMatchObject(
      refused,
    );
  }
  // One that was begun with an expiry long past stays as long as the table of the vault says.
  const source = await snapshot('forged', '7_forged');
  await copy();
  const [one] = await until(passing, ([made]) => made?.Status === 'available');
  next('CopyDBSnapshot', () => Promise.reject(new ApiError('InvalidParameterValue', 'not this time')));
  await copy();
  await inVault.send(
    new CopyDBSnapshotCommand({
      SourceDBSnapshotIdentifier: one?.DBSnapshotArn,
      TargetDBSnapshotIdentifier: source,
      KmsKeyId: rules.kmsKeyId,
      Tags: writeMarks({
        environment: 'production',
        role: 'pre-migration',
        'expires-at': '2020-01-01T00:00:00.000Z',
      }),
    }),
  );
  await until(
    () => snapshotsOf(keeper),
    (copies) => copies.some((made) => made.DBSnapshotIdentifier === source && made.Status === 'available'),
  );
  await snapshot('newer', '8_newer');
  await copied();
  await clock.advance(4 * DAY);
  await reapThere();
  expect(await idsOf(keeper)).toContain(source);
  await clock.advance(1.1 * DAY);
  expect((await reapThere()).deleted.map(({ snapshotId }) => snapshotId)).toContain(source);
});

test('each role may do its part and no more', async () => {
  const id = await snapshot('part', 'x');
  await copy();
  const [one] = await until(passing, ([made]) => made?.Status === 'available');
  await copied();
  const source = `arn:aws:rds:eu-central-1:${HOME}:snapshot:${id}`;
  const make = (role: 'passing' | 'pre-migration', TargetDBSnapshotIdentifier: string, from = source) =>
    new CopyDBSnapshotCommand({
      SourceDBSnapshotIdentifier: from,
      TargetDBSnapshotIdentifier,
      KmsKeyId: rules.kmsKeyId,
      Tags: writeMarks({ environment: 'production', role }),
    });
  const share = (DBSnapshotIdentifier: string) =>
    new ModifyDBSnapshotAttributeCommand({
      DBSnapshotIdentifier,
      AttributeName: 'restore',
      ValuesToAdd: ['333333333333'],
    });
  await keeper.send(
    new CopyDBSnapshotCommand({
      SourceDBSnapshotIdentifier: id,
      TargetDBSnapshotIdentifier: 'of-somebody-else',
    }),
  );
  await until(
    () => snapshotsOf(keeper),
    (all) =>
      all.some((made) => made.DBSnapshotIdentifier === 'of-somebody-else' && made.Status === 'available'),
  );
  const refused = [
    // At home: what one can go back to is neither deleted nor shared, and nothing is made but passing copies of it.
    () => copier.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: id })),
    () => copier.send(share(id)),
    () => copier.send(make('pre-migration', 'x-passing-1')),
    () => copier.send(make('passing', 'x')),
    () => bringer.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier: id })),
    () => bringer.send(make('passing', 'x-passing-1')),
    // In the vault: nothing of somebody else's, nothing without the tags.
    () => inVault.send(make('passing', 'x', one?.DBSnapshotArn)),
    () => inVault.send(share('of-somebody-else')),
    () => listing.send(share(id)),
    () => listing.send(make('pre-migration', 'x', one?.DBSnapshotArn)),
  ];
  for (const [index, ask] of refused.entries())
    expect([index, await ask().catch((error: unknown) => error)]).toEqual([
      index,
      expect.objectContaining({ name: 'AccessDenied' }),
    ]);
  await remove(keeper, 'of-somebody-else');
});

test('the vault tells people itself when nothing arrives any more', async () => {
  await clock.advance(2 * DAY);
  await expect(reapThere(true)).rejects.toMatchObject({
    name: 'RetentionWarning',
    message: expect.stringMatching(/^In the vault, account 222222222222: The newest good snapshot/) as string,
  });
  expect((await reapHome()).warnings).toContainEqual(
    expect.stringMatching(/^In account 222222222222: The newest good snapshot/),
  );
});

test('what is gone at home is brought back, and a recovery takes it for what it was', async () => {
  const id = await snapshot('back', '9_back');
  await copied();
  for (const one of await idsOf(lab.rds)) await remove(lab.rds, one);
  const { points } = await restorePoints({ limit: 1000, kind: 'pre-migration' }, home());
  expect(points[0]).toMatchObject({
    id,
    status: `only in account ${THERE}: bring it back first`,
    copies: [{ region: 'eu-central-1', account: THERE, status: 'available' }],
  });

  // WHEN the newest is asked for, without a name, and the first answer is lost
  next('CopyDBSnapshot', lost);
  const back = await until(
    () => bringBack().catch(() => ({ status: 'copying' as const })),
    ({ status }) => status === 'available',
  );
  expect(back).toEqual({ status: 'available', snapshotId: id, restore: { to: 'snapshot', snapshotId: id } });
  const { recovery } = await lab.plan({ restore: { to: 'latest-pre-migration-snapshot' } });
  expect(recovery.restorePoint).toMatchObject({ snapshotId: id, pendingMigrations: ['9_back'] });
  await expect(bringBack('none-such')).rejects.toMatchObject({
    name: 'RestorePointNotFound',
    message: expect.stringContaining(`account ${THERE}`) as string,
  });
  await expect(
    bringBackCopy(
      { from: 'region' },
      { rds: bringer, vault: vaultAs(inVault), environment: 'production', now: lab.now },
    ),
  ).rejects.toMatchObject({ name: 'RestorePointNotFound' });
});

test('a vault that lets nobody in stops no work at home, and is told', async () => {
  const end = lab.sandbox.context.api.intercept(({ context }, go) =>
    context.accountId === THERE ? Promise.reject(new ApiError('AccessDenied', 'not authorized', 403)) : go(),
  );
  try {
    await expect(copy()).rejects.toMatchObject({
      name: 'SnapshotsNotCopied',
      message: expect.stringContaining(`Account ${THERE} does not let this function in`) as string,
    });
    const { warnings, secretVersionsReleased } = await reapHome();
    expect(warnings).toContain(`In account ${THERE}: Nobody knows what is there: not authorized`);
    expect(secretVersionsReleased).toEqual([]);
    const { notListed, points } = await restorePoints({ limit: 1000 }, home());
    expect(notListed).toEqual([`account ${THERE}: not authorized`]);
    expect(points.length).toBeGreaterThan(0);
  } finally {
    end();
  }
});
