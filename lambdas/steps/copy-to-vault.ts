import { CopyDBSnapshotCommand, ModifyDBSnapshotAttributeCommand, type RDSClient } from '@aws-sdk/client-rds';
import type * as z from 'zod/mini';
import type { CopyToVaultEvent, CopyToVaultResult } from '../contract/copies';
import type { EnvironmentName } from '../contract/settings';
import { copiesToMake, copyExpiry, copyTags, inTheWay } from '../copies';
import { SnapshotsNotCopied, isAwsError } from '../errors';
import { passingSnapshotId } from '../names';
import { findSnapshot } from '../rds';
import { removeSnapshot } from '../reaping';
import { isBeingMade, listAllSnapshots, type OwnSnapshot, type PassingCopy } from '../snapshot-catalogue';
import { noSnapshotLeft, snapshotQuota } from '../snapshot-quota';
import { readMarks, writeMarks } from '../tags';
import { lookIntoVault, notLetIn, type Vault } from '../vault';

export interface CopyToVaultDeps {
  readonly rds: RDSClient;
  readonly vault: Vault;
  readonly environment: EnvironmentName;
  readonly now: () => Date;
}

/** Each takes one of the manual snapshots that the Region allows, and RDS makes those of one instance one after the other. */
const MAX_PASSING = 2;
/** If this function never comes back, the reaper deletes a passing copy after so many days. */
const PASSING_DAYS = 3;

/** Why not; undefined where it was asked for, or the next call sees to it. */
type Obstacle = string | undefined;

/**
 * Takes each snapshot that the vault lacks one step further, and waits for nothing: a passing copy here, under the key of the
 * vault, since what lies under the AWS managed key cannot be shared; then, shared with the vault, the copy there, under the id of
 * the snapshot and with its tags, which do not cross with it; then the passing one goes. It can delete nothing over there: of a
 * copy that failed the vault's own reaper clears the name. With `failOnWarning` throws SnapshotsNotCopied, after the work, when
 * one could not be begun; and always when the vault does not let it in.
 */
export async function copyToVault(
  event: z.infer<typeof CopyToVaultEvent>,
  deps: CopyToVaultDeps,
): Promise<CopyToVaultResult> {
  const { rds, vault, environment, now } = deps;
  const { rules } = vault;
  const [{ own, passing }, { copies, closed }] = await Promise.all([
    listAllSnapshots(rds, environment, undefined),
    lookIntoVault(vault, environment),
  ]);
  if (closed !== undefined)
    throw new SnapshotsNotCopied(
      `Account ${rules.account} does not let this function in: ${closed}`,
      'Is the stack of the vault deployed there, in this Region? See docs/pipeline.md.',
    );
  const wanted = copiesToMake(own, copies, rules, now());
  const result: CopyToVaultResult = {
    account: rules.account,
    prepared: [],
    begun: [],
    underWay: [],
    available: copies.filter(({ isAvailable }) => isAvailable).length,
    waiting: 0,
    cleared: [],
    notCopied: [],
  };
  const note = (snapshotId: string, done: string[], why: Obstacle): void => {
    if (why === undefined) done.push(snapshotId);
    else result.notCopied.push({ snapshotId, why });
  };

  const staying: PassingCopy[] = [];
  for (const one of passing) {
    const copy = copies.find(({ id }) => id === one.copyOf);
    const source = wanted.find(({ id }) => id === one.copyOf);
    const next = nextStep(one, copy?.status, source !== undefined, now());
    if (next === 'clear') {
      // Where RDS uses it the next call tries again.
      if ((await removeSnapshot(rds, one.id)) === undefined) result.cleared.push(one.id);
      continue;
    }
    staying.push(one);
    if (next === 'wait') result.underWay.push(one.copyOf);
    else if (next === 'send') note(one.copyOf, result.begun, await send(one, deps));
    else note(one.copyOf, [], next.why);
  }

  const onTheWay = new Set(passing.map(({ copyOf }) => copyOf));
  const unprepared = wanted.filter(({ id }) => !onTheWay.has(id));
  const room = Math.max(0, MAX_PASSING - staying.length);
  result.waiting = Math.max(0, unprepared.length - room);
  for (const snapshot of unprepared.slice(0, room))
    note(snapshot.id, result.prepared, await prepare(snapshot, deps));

  if (event.failOnWarning && result.notCopied.length > 0)
    throw new SnapshotsNotCopied(
      `To account ${rules.account}: ${result.notCopied.map(({ snapshotId, why }) => `${snapshotId}: ${why}`).join(' ')}`,
      `${result.begun.length} other copies were begun. See docs/pipeline.md.`,
    );
  return result;
}

/** What a passing copy is there for now. */
function nextStep(
  { status, expiresAt }: PassingCopy,
  inVault: string | undefined,
  isWanted: boolean,
  now: Date,
): 'clear' | 'wait' | 'send' | { readonly why: string } {
  if (inVault !== undefined && isBeingMade(inVault)) return 'wait';
  if (inVault === 'failed')
    // It is made again of this one; if its name is not cleared for days, this one is made anew, too.
    return expiresAt <= now
      ? 'clear'
      : { why: 'RDS could not finish the copy; it is made again when the vault has cleared it away.' };
  if (inVault !== undefined || !isWanted) return 'clear';
  if (isBeingMade(status)) return 'wait';
  return status === 'available' ? 'send' : 'clear';
}

/** Asks for the passing copy. */
async function prepare(snapshot: OwnSnapshot, deps: CopyToVaultDeps): Promise<Obstacle> {
  const { rds, vault, environment, now } = deps;
  const quota = await snapshotQuota(rds);
  if (quota.free < 1) return noSnapshotLeft(quota);
  const id = passingSnapshotId(snapshot.id);
  return asked(
    id,
    rds,
    (marks) =>
      marks.role === 'passing' && marks.environment === environment && marks['copy-of'] === snapshot.id,
    () =>
      rds.send(
        new CopyDBSnapshotCommand({
          SourceDBSnapshotIdentifier: snapshot.arn,
          TargetDBSnapshotIdentifier: id,
          KmsKeyId: vault.rules.kmsKeyId,
          Tags: writeMarks({
            role: 'passing',
            environment,
            'copy-of': snapshot.id,
            'expires-at': new Date(now().getTime() + PASSING_DAYS * 86_400_000).toISOString(),
          }),
        }),
      ),
  );
}

/** Shares the passing copy, and asks for the one in the vault. */
async function send({ id, arn, copyOf }: PassingCopy, deps: CopyToVaultDeps): Promise<Obstacle> {
  const { rds, vault, environment } = deps;
  // As it is now: since it was listed its tags may have changed, or it may be gone.
  const source = await findSnapshot(rds, copyOf);
  const { role } = readMarks(source?.TagList);
  const takenAt = source?.OriginalSnapshotCreateTime ?? source?.SnapshotCreateTime;
  if (!source || !takenAt || (role !== 'pre-migration' && role !== 'scheduled')) return undefined;
  return asked(
    copyOf,
    vault.rds,
    (marks) => marks.role === role && marks.environment === environment,
    async () => {
      await rds.send(
        new ModifyDBSnapshotAttributeCommand({
          DBSnapshotIdentifier: id,
          AttributeName: 'restore',
          ValuesToAdd: [vault.rules.account],
        }),
      );
      await vault.rds.send(
        new CopyDBSnapshotCommand({
          SourceDBSnapshotIdentifier: arn,
          TargetDBSnapshotIdentifier: copyOf,
          KmsKeyId: vault.rules.kmsKeyId,
          Tags: copyTags(source.TagList, copyExpiry({ takenAt, role }, vault.rules)),
        }),
      );
    },
  );
}

/** Asks for the copy of that name, and makes out whether an error means that it is there, comes later, or cannot be. */
async function asked(
  id: string,
  rds: RDSClient,
  isOurs: (marks: ReturnType<typeof readMarks>) => boolean,
  ask: () => Promise<unknown>,
): Promise<Obstacle> {
  try {
    await ask();
    return undefined;
  } catch (error) {
    if (isAwsError(error, 'DBSnapshotAlreadyExistsFault', 'DBSnapshotAlreadyExists')) {
      const taken = await findSnapshot(rds, id);
      // The answer of an earlier call was lost, or another call was faster.
      if (!taken || isOurs(readMarks(taken.TagList))) return undefined;
      return `A snapshot named ${id} is there and is not a copy of this system.`;
    }
    // What was listed is gone; or that it is shared is not known over there yet.
    if (
      isAwsError(
        error,
        'DBSnapshotNotFoundFault',
        'DBSnapshotNotFound',
        'InvalidDBSnapshotStateFault',
        'InvalidDBSnapshotState',
      )
    )
      return undefined;
    const why = inTheWay(error) ?? notLetIn(error);
    if (why !== undefined) return why;
    throw error;
  }
}
