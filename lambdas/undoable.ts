import type { DBInstance, RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { InstanceAddress } from './contract/recovery';
import type { EnvironmentName } from './contract/settings';
import { isSameEndpoint, isSameHost, readLogin } from './database-url';
import { NothingToUndo } from './errors';
import type { LiveOrGone } from './live-instance';
import { addressOf, isUp, listSnapshots } from './rds';
import { isForgotten, isUnfinished } from './replaced-instances';
import { findSecretVersion } from './secrets';
import { BEFORE_SWAP_LABEL, swapVersionId } from './swap-version';
import { readMarks } from './tags';

/** A recovery that can be undone. */
export interface Undoable {
  /** The recovery that made the live instance. */
  readonly recoveryId: string;
  /** The instance that it retired: it would be live again. */
  readonly instance: InstanceAddress;
  /** From then on what was written is in the live instance only. */
  readonly cutover: Date;
}

export interface UndoableDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly environment: EnvironmentName;
  readonly databaseUrlSecretId: string;
}

/** The newest recovery and the instance that it retired, if that is up. Throws NothingToUndo. */
export async function findUndoable(database: LiveOrGone, deps: UndoableDeps): Promise<Undoable> {
  const others = database.instances.filter(({ DbiResourceId }) => DbiResourceId !== database.live.resourceId);
  const recoveryId = await madeLiveBy(database, others, deps);
  if (recoveryId === undefined) throw madeByNone(database, others, deps);
  const found =
    others.find((other) => isRetiredBy(recoveryId, other, deps)) ??
    (await notYetRetired(others, database, deps));
  if (!found) throw await nothingLeft(recoveryId, deps);
  const address = addressOf(found);
  const { DBInstanceIdentifier: id = '', DBInstanceStatus: status = 'unknown' } = found;
  if (!address || !isUp(status))
    throw new NothingToUndo(
      `Instance ${id}, which recovery ${recoveryId} retired, is "${status}".`,
      status === 'stopped'
        ? `Start it (aws rds start-db-instance --db-instance-identifier ${id}), wait until it is available, then start the undo again.`
        : 'Wait until it is available, then start the undo again. If it is being deleted, go back to its final snapshot.',
    );
  return { recoveryId, instance: address, cutover: await cutoverOf(recoveryId, database, deps) };
}

/** The id of the recovery that made the instance live. */
async function madeLiveBy(
  { live, settings }: LiveOrGone,
  others: readonly DBInstance[],
  deps: UndoableDeps,
): Promise<string | undefined> {
  if (live.state !== 'gone') {
    const { role, 'recovery-id': id } = readMarks(settings.TagList);
    // Still tagged as a recovery instance, or as taken back, where the recovery ended before it retired the old one.
    return role === 'live' || role === 'recovery-instance' || role === 'taken-back' ? id : undefined;
  }
  // Its tags went with it. The recovery's version of the secret names it still.
  for (const { TagList } of others) {
    const { environment, 'recovery-id': id, role } = readMarks(TagList);
    if (id === undefined || role !== 'retired' || environment !== deps.environment) continue;
    const swapped = await findSecretVersion(deps.secrets, deps.databaseUrlSecretId, {
      versionId: swapVersionId(id),
    });
    if (swapped && isSameHost(readLogin(swapped.value).host, live.host)) return id;
  }
  return undefined;
}

function isRetiredBy(recoveryId: string, { TagList }: DBInstance, { environment }: UndoableDeps): boolean {
  const marks = readMarks(TagList);
  return (
    marks.environment === environment &&
    ((marks.role === 'retired' && marks['recovery-id'] === recoveryId) ||
      // Of an undo that was stopped.
      (marks.role === 'taken-back' && marks.undoes === recoveryId))
  );
}

/**
 * The recovery ended between swap and retirement: its mark on the live instance says what was live before, or the pinned version of
 * the secret. Throws NothingToUndo where that is of a stopped recovery itself: no undo goes back over two.
 */
async function notYetRetired(
  others: readonly DBInstance[],
  { live, settings }: LiveOrGone,
  deps: UndoableDeps,
): Promise<DBInstance | undefined> {
  const { secrets, databaseUrlSecretId } = deps;
  const { role, replaces } = readMarks(settings.TagList);
  if (live.state === 'gone') return undefined;
  const replaced = others.find(({ DbiResourceId }) => DbiResourceId === replaces);
  if (replaced && isUnfinished(replaced)) throw twoStopped(replaced, deps);
  // Also where a person gave the live one its tag, since its recovery could not be redriven any more.
  if (replaces !== undefined) return replaced && isForgotten(replaced) ? replaced : undefined;
  if (role === 'live') return undefined;
  const before = await findSecretVersion(secrets, databaseUrlSecretId, { stage: BEFORE_SWAP_LABEL });
  if (!before) return undefined;
  const named = readLogin(before.value);
  return others.find((other) => {
    const address = addressOf(other);
    return address && isSameEndpoint(address, named) && !isUnfinished(other);
  });
}

/** Of what is gone the tags went with it; where it had been renamed, no recovery's version of the secret names its address either. */
function madeByNone(
  { live }: LiveOrGone,
  others: readonly DBInstance[],
  { environment }: UndoableDeps,
): NothingToUndo {
  if (live.state !== 'gone')
    return new NothingToUndo(
      `Instance ${live.instanceId} is live, and no recovery made it so: its tags name none.`,
      'There is nothing to go back to. To go back in time start the machine with {}.',
    );
  const retired = others.filter(({ TagList }) => {
    const marks = readMarks(TagList);
    return marks.role === 'retired' && marks.environment === environment;
  });
  return new NothingToUndo(
    `Instance ${live.instanceId}, which the secret names, is gone, and of no retired instance it is known that it was replaced by that one.`,
    'To go back in time start the machine with {}: it says what is left of it.' +
      (retired.length === 0
        ? ''
        : ` Retired, and there: ${retired.map(({ DBInstanceIdentifier: id = '' }) => id).join(', ')}. ${bySnapshot(retired[0], environment)}`),
  );
}

function twoStopped(replaced: DBInstance, { environment }: UndoableDeps): NothingToUndo {
  const { DBInstanceIdentifier: id = '', TagList } = replaced;
  return new NothingToUndo(
    `Instance ${id}, which was live before, is of recovery ${readMarks(TagList)['recovery-id'] ?? ''}, which was stopped, too.`,
    bySnapshot(replaced, environment),
  );
}

function bySnapshot(instance: DBInstance | undefined, environment: EnvironmentName): string {
  return `To go back to it recover to a snapshot of it: aws rds create-db-snapshot --db-instance-identifier ${instance?.DBInstanceIdentifier ?? ''} --db-snapshot-identifier NAME --tags Key=migration-rollback:environment,Value=${environment}, then {"mode":"recover","restore":{"to":"snapshot","snapshotId":"NAME"}} (docs/runbook.md).`;
}

/** What was retired is deleted: its final snapshot is the way back, by a recovery. */
async function nothingLeft(recoveryId: string, { rds }: UndoableDeps): Promise<NothingToUndo> {
  const final = (await listSnapshots(rds, { SnapshotType: 'manual' })).find(({ TagList }) => {
    const marks = readMarks(TagList);
    return marks.role === 'final' && marks['recovery-id'] === recoveryId;
  });
  if (!final)
    return new NothingToUndo(
      `The instance that recovery ${recoveryId} replaced is not there any more, and there is no final snapshot of it.`,
      'Its automated backups may be retained: look in the RDS console.',
    );
  const snapshotId = final.DBSnapshotIdentifier ?? '';
  const input = {
    mode: 'recover',
    restore: { to: 'snapshot', snapshotId },
    reason: 'the recovery was a mistake',
    requestedBy: 'your name',
    retire: 'keep',
  };
  return new NothingToUndo(
    `The instance that recovery ${recoveryId} replaced is deleted. Its final snapshot ${snapshotId} is ${final.Status ?? 'unknown'}.`,
    `It holds everything up to its end. Recover to it, by the input ${JSON.stringify(input)}`,
  );
}

/** When the recovery swapped; where its version of the secret is gone, when its instance was made: that was earlier. */
async function cutoverOf(
  recoveryId: string,
  { settings }: LiveOrGone,
  { secrets, databaseUrlSecretId }: UndoableDeps,
): Promise<Date> {
  const swapped = await findSecretVersion(secrets, databaseUrlSecretId, {
    versionId: swapVersionId(recoveryId),
  });
  return swapped?.createdAt ?? settings.InstanceCreateTime ?? new Date(0);
}
