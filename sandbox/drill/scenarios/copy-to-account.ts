import { InvokeCommand } from '@aws-sdk/client-lambda';
import { DeleteDBSnapshotCommand, DescribeDBSnapshotsCommand, RDSClient } from '@aws-sdk/client-rds';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { z } from 'zod';
import type { Caller } from '../../core/api';
import { recoverFromCopy, recoveredFromCopy } from '../brought-back';
import { deleteEverything } from '../delete-everything';
import type { Scenario } from '../scenario';
import { check } from '../scenario-checks';
import { ENVIRONMENT, type Stage } from '../stage';

/** As sandbox/app-with-vault.ts has it. */
const VAULT = '222222222222';

const Copied = z.object({
  available: z.number(),
  prepared: z.array(z.string()),
  begun: z.array(z.string()),
  underWay: z.array(z.string()),
  cleared: z.array(z.string()),
});
const Listed = z.object({
  points: z.array(
    z.object({
      id: z.string(),
      copies: z.array(z.object({ account: z.string().optional(), status: z.string() })),
    }),
  ),
});

export const copyToAccount: Scenario = {
  name: 'copy-to-account',
  shows:
    'after a bad migration somebody deletes everything in the account of the database, and cannot delete the copy in the vault, another account; it is brought back, and the recovery goes back to it',
  badMigration: 'dropped-table',
  cdkApp: 'sandbox/app-with-vault.ts',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(copyToAccount.badMigration);
    const liveBefore = await stage.live();
    const { timeline } = stage;
    const { clock } = stage.sandbox.context;
    await timeline.step('Copy the snapshot to the vault', async () => {
      for (;;) {
        const { available, prepared, begun, underWay, cleared } = Copied.parse(
          await stage.invoke('copy-to-vault', {}),
        );
        if (available > 0 && [...prepared, ...begun, ...underWay, ...cleared].length === 0) return;
        await clock.sleep(60_000);
      }
    });
    await stage.invoke('reap-snapshots', {});
    await timeline.step('The vault looks after its copies', () => reapVault(stage));
    await timeline.step('Somebody deletes everything in the account of the database', () =>
      deleteEverything(stage, liveBefore.instance),
    );
    const left = await stage.snapshots();
    const { points } = Listed.parse(await stage.invoke('restore-points', { kind: 'pre-migration' }));
    const snapshotIds = points.map(({ id }) => id);
    const attempts = await timeline.step('And tries to delete the copy in the vault', () =>
      tryToDelete(stage, snapshotIds),
    );
    const { snapshotId, run } = await recoverFromCopy(stage);
    const listed = points.map(({ id, copies }) => ({ id, copies }));
    const inVault = await copiesInVault(stage);
    return {
      before,
      liveBefore,
      run,
      checks: [
        check(
          'The catalogue, asked when all of it is gone, says where the copy is',
          listed.some(
            ({ id, copies }) =>
              id === snapshotId &&
              copies.some(({ account, status }) => account === VAULT && status === 'available'),
          ),
          JSON.stringify(listed),
        ),
        check(
          'No snapshot was left in the account of the database',
          left.length === 0,
          left.map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier).join(', ') || 'none',
        ),
        check(
          'Nobody there could delete the copy in the vault',
          attempts.length > 0 && attempts.every(({ refused }) => refused),
          attempts.map(({ attempt, answer }) => `${attempt}: ${answer}`).join('; '),
        ),
        check(
          'The copy is in the vault still, under its own key',
          inVault.some(
            ({ id, status, keyAccount }) =>
              id === snapshotId && status === 'available' && keyAccount === VAULT,
          ),
          JSON.stringify(inVault),
        ),
      ],
    };
  },
  check(stage, outcome) {
    return recoveredFromCopy(stage, outcome, copyToAccount.badMigration);
  },
};

/** As its schedule does. */
async function reapVault({ sandbox }: Stage): Promise<void> {
  const { lambda } = sandbox.clients(sandbox.administrator(VAULT));
  const { FunctionError, Payload } = await lambda.send(
    new InvokeCommand({ FunctionName: `${ENVIRONMENT}-reap-vault`, Payload: '{"failOnWarning":true}' }),
  );
  if (FunctionError !== undefined) throw new Error(Buffer.from(Payload ?? []).toString());
}

async function copiesInVault({
  sandbox,
}: Stage): Promise<{ id: string; status: string; keyAccount: string | undefined }[]> {
  const { rds } = sandbox.clients(sandbox.administrator(VAULT));
  const { DBSnapshots = [] } = await rds.send(new DescribeDBSnapshotsCommand({}));
  return DBSnapshots.map(({ DBSnapshotIdentifier: id = '', Status: status = '', KmsKeyId: key }) => ({
    id,
    status,
    keyAccount: key?.split(':')[4],
  }));
}

/** As each function of home that may go there, and as the one who may do everything at home. */
async function tryToDelete(
  stage: Stage,
  snapshotIds: readonly string[],
): Promise<{ attempt: string; answer: string; refused: boolean }[]> {
  const { sandbox } = stage;
  const { accountId } = sandbox.context.account;
  const ways: [string, string, Caller | undefined][] = [
    ['the administrator', 'vault-copy', undefined],
    ...[
      ['copy-to-vault', 'vault-copy'],
      ['bring-back-copy', 'vault-copy'],
      ['reap-snapshots', 'vault-list'],
      ['restore-points', 'vault-list'],
    ].map(([name = '', role = '']): [string, string, Caller] => [
      name,
      role,
      { arn: `arn:aws:iam::${accountId}:role/${ENVIRONMENT}-${name}` },
    ]),
  ];
  const attempts: { attempt: string; answer: string; refused: boolean }[] = [];
  for (const [who, role, caller] of ways)
    for (const id of snapshotIds) {
      const answer = await deleteAs(stage, role, caller, id).then(
        () => 'deleted',
        (error: unknown) => (error instanceof Error ? error.name : String(error)),
      );
      attempts.push({ attempt: `${who} by ${role}`, answer, refused: answer === 'AccessDenied' });
    }
  return attempts;
}

async function deleteAs(
  { sandbox }: Stage,
  role: string,
  caller: Caller | undefined,
  DBSnapshotIdentifier: string,
): Promise<void> {
  const { endpoint, account } = sandbox.context;
  const options = { endpoint, region: account.region };
  const sts = new STSClient({ ...options, credentials: sandbox.credentials(caller) });
  try {
    const { Credentials } = await sts.send(
      new AssumeRoleCommand({
        RoleArn: `arn:aws:iam::${VAULT}:role/${ENVIRONMENT}-${role}`,
        RoleSessionName: 'intruder',
      }),
    );
    const rds = new RDSClient({
      ...options,
      credentials: {
        accessKeyId: Credentials?.AccessKeyId ?? '',
        secretAccessKey: Credentials?.SecretAccessKey ?? '',
        sessionToken: Credentials?.SessionToken ?? '',
      },
    });
    try {
      await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier }));
    } finally {
      rds.destroy();
    }
  } finally {
    sts.destroy();
  }
}
