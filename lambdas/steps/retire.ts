import {
  AddTagsToResourceCommand,
  RemoveTagsFromResourceCommand,
  type DBInstance,
  type DBSnapshot,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type * as z from 'zod/mini';
import type { Recovery } from '../contract/recovery';
import type { RetireEvent, RetireResult } from '../contract/retirement';
import { isSameEndpoint, readLogin } from '../database-url';
import {
  DrainOutdated,
  RetirementNotFinished,
  RetirementRefused,
  SnapshotQuotaExceeded,
  isAwsError,
} from '../errors';
import { deleteInstance, isDeletionForLater } from '../instance-deletion';
import { refuseIfOvertaken } from '../overtaken';
import { addressOf, findInstance, findSnapshot, isTerminal, isUp, listInstances } from '../rds';
import { isForgotten, replacedBefore } from '../replaced-instances';
import { currentSecret } from '../secrets';
import { readMarks, tagKeys, writeMarks, type Marks } from '../tags';

export interface RetireDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly databaseUrlSecretId: string;
  readonly snapshotRetentionDays: number;
  readonly now: () => Date;
}

/**
 * Only RDS can be asked to delete, which cannot be reached from where databases can: so nobody may have been connected when Drain looked,
 * at most this long ago. Behind the fence only a grant by hand lets anybody in.
 */
const DRAINED_AT_MOST_MS = 15 * 60_000;

/**
 * Marks the recovery instance live, so that nothing takes it for one that may be discarded; marks the old instance retired
 * and, when asked to, deletes it with a final snapshot, its automated backups kept. Every proof is made anew at every call.
 * Throws RetirementNotFinished until done, DrainOutdated, RetirementRefused, RecoveryOvertaken, SnapshotQuotaExceeded.
 */
export async function retire(
  { recovery, drainedAt }: z.infer<typeof RetireEvent>,
  deps: RetireDeps,
): Promise<RetireResult> {
  const { rds } = deps;
  const { instanceId, resourceId } = recovery.live;
  const replacement = await replacementOf(recovery, deps);
  await forgetKeptUntil(replacement, deps);
  await mark(rds, replacement, 'live', recovery);

  if (recovery.live.state === 'gone') return { retired: 'gone', instanceId };
  const old = await findInstance(rds, instanceId);
  if (old && old.DbiResourceId !== resourceId)
    throw new RetirementRefused(
      `Instance ${instanceId} has the resource id ${old.DbiResourceId ?? 'unknown'}, the one that was replaced had ${resourceId}.`,
      'Somebody gave its name to another instance; that one is left alone.',
    );
  if (old && readMarks(old.TagList).role === 'taken-back')
    throw new RetirementRefused(
      `An undo (${readMarks(old.TagList)['recovery-id'] ?? ''}) takes instance ${instanceId} back.`,
      'See how that one ends; the instance is left alone.',
    );
  if (old) await keepForgotten(old, replacement, recovery, deps);
  if (recovery.retire === 'keep') {
    if (!old)
      throw new RetirementRefused(
        `Instance ${instanceId}, which was to be kept, is gone.`,
        'See CloudTrail for who deleted it.',
      );
    return { retired: 'kept', instanceId, keepUntil: await keep(old, recovery, deps) };
  }

  const snapshot = await findSnapshot(rds, recovery.finalSnapshotId);
  if (snapshot && snapshot.DbiResourceId !== resourceId)
    throw new RetirementRefused(
      `Snapshot ${recovery.finalSnapshotId} exists and is of another instance (${snapshot.DbiResourceId ?? 'unknown'}).`,
      `Instance ${instanceId} is kept. Take a snapshot of it by hand before deleting it.`,
    );
  if (snapshot) await markFinal(recovery, snapshot, deps);
  const safety = await safetySnapshot(recovery, deps);
  if (!old) return finished(recovery, snapshot, safety);
  if (safety?.Status === 'creating')
    throw new RetirementNotFinished(
      `Safety snapshot ${recovery.safetySnapshotId} of ${instanceId} is still being taken.`,
      'Wait: RDS deletes no instance that it takes a snapshot of.',
    );
  if (old.DBInstanceStatus !== 'deleting') await remove(recovery, drainedAt, old, snapshot, deps);
  throw new RetirementNotFinished(
    `Instance ${instanceId} is being deleted; its final snapshot is ${snapshot?.Status ?? 'not to be seen yet'}.`,
    'Wait.',
  );
}

/** The instance that the secret names: this recovery's own, up, and not the old one. */
async function replacementOf(recovery: Recovery, deps: RetireDeps): Promise<DBInstance> {
  const replacement = await findInstance(deps.rds, recovery.recoveryInstanceId);
  const address = replacement && addressOf(replacement);
  await refuseIfOvertaken(recovery, address ? [address] : [], deps);
  const named = readLogin((await currentSecret(deps.secrets, deps.databaseUrlSecretId)).value);
  const refuse = (fact: string): RetirementRefused =>
    new RetirementRefused(
      fact,
      `Instance ${recovery.live.instanceId} is kept. Look at which database the secret names.`,
    );
  const status = replacement?.DBInstanceStatus ?? 'gone';
  if (!replacement || !address || isTerminal(status))
    throw refuse(`Instance ${recovery.recoveryInstanceId}, which replaces it, is ${status}.`);
  if (
    readMarks(replacement.TagList)['recovery-id'] !== recovery.id ||
    address.resourceId === recovery.live.resourceId
  )
    throw refuse(
      `Instance ${recovery.recoveryInstanceId} does not carry the tags of recovery ${recovery.id}.`,
    );
  if (!isSameEndpoint(named, address))
    throw refuse(
      `The secret names ${named.host}:${named.port}, not ${address.host}:${address.port} of the recovery instance.`,
    );
  if (!isUp(status))
    throw new RetirementNotFinished(
      `Instance ${recovery.recoveryInstanceId}, which replaces ${recovery.live.instanceId}, is "${status}".`,
      'Wait: the old one is kept until the new one is up.',
    );
  return replacement;
}

/**
 * What the old instance had replaced itself, where its recovery was stopped before it retired that: it alone has what was written
 * until then. It is kept, whatever becomes of the old instance, and people are told of it when its day is over.
 */
async function keepForgotten(
  old: DBInstance,
  replacement: DBInstance,
  { environment, keepDays }: Recovery,
  { rds, now }: RetireDeps,
): Promise<void> {
  for (const { instance, replacedBy } of replacedBefore(old, await listInstances(rds)))
    // What an undo took back is live now.
    if (instance.DbiResourceId !== replacement.DbiResourceId && isForgotten(instance))
      await tag(rds, instance.DBInstanceArn, {
        role: 'retired',
        environment,
        'recovery-id': replacedBy.recoveryId,
        'keep-until': keptUntil(now(), keepDays),
      });
}

/** What an undo took back may have been kept until a day: nobody has to be reminded to delete what is live. */
async function forgetKeptUntil(
  { DBInstanceArn: ResourceName, TagList }: DBInstance,
  { rds }: RetireDeps,
): Promise<void> {
  const { role, 'keep-until': until } = readMarks(TagList);
  if (role === 'taken-back' && until !== undefined)
    await rds.send(new RemoveTagsFromResourceCommand({ ResourceName, TagKeys: tagKeys('keep-until') }));
}

function keptUntil(now: Date, keepDays: number): string {
  return new Date(now.getTime() + keepDays * 86_400_000).toISOString();
}

/** Asked again, the day that was written first, or that somebody has changed it to since. */
async function keep(old: DBInstance, recovery: Recovery, { rds, now }: RetireDeps): Promise<string | null> {
  const marks = readMarks(old.TagList);
  if (marks.role === 'retired' && marks['recovery-id'] === recovery.id) return marks['keep-until'] ?? null;
  const keepUntil = keptUntil(now(), recovery.keepDays);
  await mark(rds, old, 'retired', recovery, { 'keep-until': keepUntil });
  return keepUntil;
}

async function remove(
  recovery: Recovery,
  drainedAt: string | null,
  old: DBInstance,
  snapshot: DBSnapshot | undefined,
  { rds, now: clock }: RetireDeps,
): Promise<void> {
  const { instanceId } = recovery.live;
  // Another call of this step, slower than its timeout, may have begun the deletion between our two looks.
  const now = snapshot && (await findInstance(rds, instanceId));
  if (snapshot && (!now || now.DBInstanceStatus === 'deleting')) return;
  if (snapshot)
    throw new RetirementRefused(
      `Final snapshot ${recovery.finalSnapshotId} exists (${snapshot.Status ?? 'unknown'}) while instance ${instanceId} is ${old.DBInstanceStatus ?? 'unknown'}: it does not hold what was written since.`,
      'Delete the instance by hand with a final snapshot of another name.',
    );
  if (drainedAt === null || clock().getTime() - Date.parse(drainedAt) > DRAINED_AT_MOST_MS)
    throw new DrainOutdated(
      drainedAt === null
        ? `Who is connected to ${instanceId} has not been looked at since the execution was redriven.`
        : `Nobody was connected to ${instanceId} at ${drainedAt}, which is more than ${DRAINED_AT_MOST_MS / 60_000} minutes ago.`,
      'It is looked at again before it is deleted.',
    );
  await mark(rds, old, 'retired', recovery);
  try {
    await deleteInstance(rds, old, {
      SkipFinalSnapshot: false,
      FinalDBSnapshotIdentifier: recovery.finalSnapshotId,
      DeleteAutomatedBackups: false,
    });
  } catch (error) {
    if (isAwsError(error, 'SnapshotQuotaExceededFault', 'SnapshotQuotaExceeded'))
      throw new SnapshotQuotaExceeded(
        `The quota of manual snapshots leaves no room for the final snapshot of ${instanceId}.`,
        'The instance is kept, without deletion protection. Delete snapshots that nobody needs, then delete it by hand, with a final snapshot.',
        { cause: error },
      );
    if (!isDeletionForLater(error, old)) throw error;
    throw new RetirementNotFinished(`RDS does not delete ${instanceId} now.`, 'Wait.', { cause: error });
  }
}

/** What TakeSafetySnapshot asked for; undefined where it asked for none, or it is of another instance. */
async function safetySnapshot(recovery: Recovery, { rds }: RetireDeps): Promise<DBSnapshot | undefined> {
  const snapshot = await findSnapshot(rds, recovery.safetySnapshotId);
  return snapshot?.DbiResourceId === recovery.live.resourceId ? snapshot : undefined;
}

async function finished(
  recovery: Recovery,
  snapshot: DBSnapshot | undefined,
  safety: DBSnapshot | undefined,
): Promise<RetireResult> {
  const { instanceId } = recovery.live;
  if (!snapshot)
    throw new RetirementRefused(
      `Instance ${instanceId} is gone and there is no final snapshot ${recovery.finalSnapshotId}.`,
      'Its automated backups may still be there: look at the retained backups in the RDS console now.' +
        (safety?.Status === 'available'
          ? ` What it held when the recovery began is in the safety snapshot ${recovery.safetySnapshotId}.`
          : ''),
    );
  if (snapshot.Status !== 'available')
    throw new RetirementNotFinished(
      `Final snapshot ${recovery.finalSnapshotId} is ${snapshot.Status ?? 'unknown'}.`,
      'Wait.',
    );
  return { retired: 'deleted', instanceId, finalSnapshotId: recovery.finalSnapshotId };
}

async function mark(
  rds: RDSClient,
  instance: DBInstance,
  role: 'live' | 'retired',
  recovery: Recovery,
  more: Marks = {},
): Promise<void> {
  const marks = readMarks(instance.TagList);
  if (marks.role === role && marks['recovery-id'] === recovery.id) return;
  const { environment, id } = recovery;
  await tag(rds, instance.DBInstanceArn, { role, environment, 'recovery-id': id, ...more });
}

/** A final snapshot is made by the delete call, which takes no tags. */
async function markFinal(recovery: Recovery, snapshot: DBSnapshot, deps: RetireDeps): Promise<void> {
  if (readMarks(snapshot.TagList).role === 'final') return;
  const days = deps.snapshotRetentionDays;
  await tag(deps.rds, snapshot.DBSnapshotArn, {
    role: 'final',
    environment: recovery.environment,
    'recovery-id': recovery.id,
    'expires-at': new Date(deps.now().getTime() + days * 86_400_000).toISOString(),
  });
}

async function tag(rds: RDSClient, arn: string | undefined, marks: Marks): Promise<void> {
  await rds.send(new AddTagsToResourceCommand({ ResourceName: arn, Tags: writeMarks(marks) }));
}
