import type * as z from 'zod/mini';
import type { CheckMigrationsEvent, CheckMigrationsResult } from './contract/gate';
import type { Recovery } from './contract/recovery';
import type { LogicalReplication } from './contract/replication';
import { LiveInstanceUnclear, MigrationsNotChecked, toRollbackError } from './errors';
import { settingsLost, type LiveOrGone } from './live-instance';
import { isTerminal, isUp } from './rds';
import type { History } from './found-restore-point';

// What a plan says of the live instance, and whether a recovery can begin from it.

/** By which CloudWatch may know an instance that something else takes the place of. */
export function namesOf({ instanceId, resourceId }: Recovery['live']): string[] {
  return [instanceId, resourceId].filter((name) => name !== '');
}

/** An instance that is changed, restarted, backed up or deleted is something else in a few minutes. */
export function refuseWhatPasses({ live, status }: LiveOrGone): void {
  if (live.state !== 'there' || isUp(status)) return;
  if (isTerminal(status) && status !== 'deleting') return;
  if (status === 'stopped') return;
  const hints: Readonly<Record<string, string>> = {
    deleting: 'Wait until it is gone: then a recovery goes without it.',
    stopping: `Wait until it is stopped, then start it: aws rds start-db-instance --db-instance-identifier ${live.instanceId}`,
  };
  throw new LiveInstanceUnclear(
    `Instance ${live.instanceId}, which the secret names, is "${status}".`,
    hints[status] ?? 'Wait until it is available; a recovery takes its settings from it.',
  );
}

/** What the live database itself says. */
export interface LiveAnswers {
  readonly history: History;
  readonly replication: LogicalReplication | undefined;
}

/** It is good to know, so that it cannot be had must not be in the way: the reason is. */
export async function askLive({
  checkMigrations,
}: {
  readonly checkMigrations: (event: z.infer<typeof CheckMigrationsEvent>) => Promise<CheckMigrationsResult>;
}): Promise<LiveAnswers> {
  try {
    const { history, replication } = await checkMigrations({ migrations: null, schema: null });
    return { history, replication };
  } catch (error) {
    const { fact: unknown } = toRollbackError(error);
    const fencedBy = error instanceof MigrationsNotChecked ? error.fencedBy : undefined;
    const history = { unknown, ...(fencedBy !== undefined && { fencedBy }) };
    return { history, replication: undefined };
  }
}

/** The recovery whose fence kept us from asking. */
export function fenceOf(history: History): string | undefined {
  return 'unknown' in history ? history.fencedBy : undefined;
}

/**
 * Why a recovery could not go on behind its restore. The password of the master user goes with the old instance where RDS manages
 * it. An instance that does not answer cannot be fenced, and may come back and be written to: its storage is made bigger, its
 * parameters are mended, its key is enabled, it is started. Better said now than after the restore.
 */
export function doubtOf(
  { live, status, settings, unfinished }: LiveOrGone,
  history: History,
): { fact: string; hint: string } | undefined {
  const managed = settings.MasterUserSecret?.SecretArn;
  if (live.state === 'there' && managed !== undefined)
    return {
      fact: `RDS manages the password of the master user of ${live.instanceId}, in the secret ${managed}: it cannot manage that of what it restores, and deletes the secret together with the instance.`,
      hint: 'Take the password over into the secret that the stack names as the master secret: aws rds modify-db-instance --no-manage-master-user-password --master-user-password … ; docs/existing-database.md has it.',
    };
  if (unfinished && !unfinished.settings) return settingsLost(live.instanceId, unfinished.recoveryId);
  if (live.state !== 'there' || isUp(status) || !('unknown' in history)) return undefined;
  return {
    fact: `Instance ${live.instanceId} is "${status}" and cannot be asked: nobody can say that it does not come back and is written to.`,
    hint: 'Bring it up (storage, parameter group, key, start), so that it can be fenced, or delete it by hand, its automated backups kept.',
  };
}

/** The instance, or the snapshot, that has the settings which an unfinished live instance lacks. */
export function settingsFrom({ settingsSnapshotId, unfinished }: LiveOrGone): string | null {
  return settingsSnapshotId ?? unfinished?.settings?.DBInstanceIdentifier ?? null;
}
