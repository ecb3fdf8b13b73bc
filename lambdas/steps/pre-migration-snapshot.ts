import { AddTagsToResourceCommand, type DBSnapshot, type RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SFNClient } from '@aws-sdk/client-sfn';
import type * as z from 'zod/mini';
import {
  type CheckMigrationsEvent,
  type CheckMigrationsResult,
  PreMigrationSnapshotEvent,
  type PreMigrationSnapshotResult,
} from '../contract/gate';
import type { RestoreRequest } from '../contract/recovery-input';
import type { EnvironmentName } from '../contract/settings';
import {
  InstanceBusy,
  MigrationFailed,
  MigrationQuarantined,
  MigrationRunning,
  RollbackError,
  SnapshotUnusable,
} from '../errors';
import { refuseUntilRenamed } from '../begun-rename';
import { findLiveInstance, type LiveInstance } from '../live-instance';
import { preMigrationSnapshotId } from '../names';
import { parse, required } from '../parse';
import { findMarker, windowReachesNow, writeMarker } from '../point-in-time';
import { refuseUntilProven } from '../proven-cutover';
import { judge, readQuarantine } from '../quarantine';
import { findSnapshot } from '../rds';
import { snapshotQuota } from '../snapshot-quota';
import { takeSnapshot } from '../take-snapshot';
import { readMarks, writeMarks, type Migration } from '../tags';

export interface PreMigrationSnapshotDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly stepFunctions: SFNClient;
  readonly environment: EnvironmentName;
  readonly databaseUrlSecretId: string | undefined;
  readonly masterSecretId: string | undefined;
  readonly snapshotRetentionDays: number;
  readonly now: () => Date;
  /** Asks the live database; it can be reached from inside the VPC only. Throws MigrationsNotChecked. */
  readonly checkMigrations: (event: z.infer<typeof CheckMigrationsEvent>) => Promise<CheckMigrationsResult>;
}

/**
 * Makes sure that a deployment's migrations can be undone; asked again for the same deployment, says how far it is. Whatever
 * CI can do something about is answered as `refused`; only other failures of AWS are thrown.
 */
export async function preMigrationSnapshot(
  event: unknown,
  deps: PreMigrationSnapshotDeps,
): Promise<PreMigrationSnapshotResult> {
  if (deps.environment === 'development' || deps.snapshotRetentionDays === 0)
    return { status: 'skipped', reason: `No snapshots are kept in ${deps.environment}.` };
  try {
    const request = parse(PreMigrationSnapshotEvent, event, 'request');
    const secretId = required(deps.databaseUrlSecretId, 'DATABASE_URL_SECRET_ID');
    const live = await findLiveInstance(deps.rds, deps.secrets, secretId, deps.environment);
    if (request.outcome !== undefined) return await recordOutcome(request, request.outcome, live, deps);
    return await restorePoint(request, live, deps);
  } catch (error) {
    if (error instanceof RollbackError)
      return { status: 'refused', error: error.name, reason: error.fact, hint: error.hint };
    throw error;
  }
}

async function restorePoint(
  event: PreMigrationSnapshotEvent,
  live: LiveInstance,
  deps: PreMigrationSnapshotDeps,
): Promise<PreMigrationSnapshotResult> {
  const { instanceId } = live.address;
  const marker = findMarker(live.instance.TagList, event.deploymentId);
  const snapshotId = preMigrationSnapshotId(live.address, event.deploymentId);
  const existing = marker ? undefined : await findSnapshot(deps.rds, snapshotId);
  // Nothing but the last answer lets the pipeline go on, so nothing but the last one needs the checks.
  if (existing && isCreating(existing, deps.environment)) return creating(snapshotId, instanceId, existing);

  const { database, pending, notes } = await examine(event, live, deps);
  if (marker) return ofTime(marker.time, instanceId, notes);
  if (existing) {
    const { warning } = await snapshotQuota(deps.rds);
    return ofSnapshot(existing, warning === undefined ? notes : [...notes, warning]);
  }
  if (pending?.length === 0)
    return {
      status: 'skipped',
      reason: `Nothing is pending: the database has all ${event.migrations?.length ?? 0} migrations.`,
    };
  if (event.restorePoint === 'point-in-time') {
    const now = deps.now();
    if (await windowReachesNow(deps.rds, live.address.resourceId, now)) {
      const request = { deploymentId: event.deploymentId, time: now, migrations: pending ?? [] };
      return ofTime((await writeMarker(deps.rds, live.instance, request)).time, instanceId, notes);
    }
    notes.push('The automated backups do not end at this moment by our clock, so a snapshot is taken.');
  }
  return begin(event, live, deps, { snapshotId, database, pending });
}

/** Everything that stands in the way of a migration, from what is known first to what has to be asked for. */
async function examine(
  event: PreMigrationSnapshotEvent,
  { instance, instances, address }: LiveInstance,
  deps: PreMigrationSnapshotDeps,
): Promise<{ database: CheckMigrationsResult; pending: Migration[] | undefined; notes: string[] }> {
  const recovery = await refuseUntilProven(instance, {
    ...deps,
    databaseUrlSecretId: required(deps.databaseUrlSecretId, 'DATABASE_URL_SECRET_ID'),
  });
  refuseUntilRenamed(instances, address.host);
  const database = await deps.checkMigrations({
    migrations: event.migrations ?? null,
    schema: event.schema ?? null,
  });
  if (database.failed.length > 0)
    throw new MigrationFailed(
      `The database has a migration that failed: ${database.failed.join(', ')}. Prisma refuses every deploy (P3009).`,
      `Mend what it left behind, then run "npx prisma migrate resolve" for it.`,
    );
  if (database.lockHolders.length > 0)
    throw new MigrationRunning(
      `Prisma's migration lock is held by ${database.lockHolders.map(({ session }) => session).join('; ')}.`,
      lockHint(database),
    );
  const pending = event.migrations?.filter(({ name }) => database.pending?.includes(name));
  const { refused, changed, lifted } = judge(pending ?? [], readQuarantine(instance.TagList));
  if (refused.length > 0)
    throw new MigrationQuarantined(
      `Taken away by a recovery and not changed since: ${refused.map(({ name, recoveryId }) => `${name} (recovery ${recoveryId})`).join(', ')}. Reason of the recovery: ${readMarks(instance.TagList)['quarantine-reason'] ?? 'not known'}.`,
      'Mend the migration: another content passes. If it was not at fault, lift its quarantine (docs/runbook.md).',
    );
  return {
    database,
    pending,
    notes: [
      ...(recovery
        ? [
            `Recovery ${recovery.name} has not ended, but its cutover to ${address.instanceId} is proven: this is about that instance.`,
          ]
        : []),
      ...changed.map(
        ({ name, recoveryId }) => `${name} was taken away by recovery ${recoveryId} and changed since.`,
      ),
      ...lifted.map(
        ({ name, recoveryId, lift }) =>
          `${name} was taken away by recovery ${recoveryId}; ${lift.by} lifted its quarantine at ${lift.at}: ${lift.reason}`,
      ),
      ...database.changed.map(
        (name) => `${name} is in the database with another content; Prisma does not apply it again.`,
      ),
      ...database.failedElsewhere.map((name) => `${name} failed, in the migration table of another project.`),
    ],
  };
}

function lockHint({ lockHolders }: CheckMigrationsResult): string {
  const stale = lockHolders.filter((holder) => holder.stale);
  return stale.length === 0
    ? 'Another migration runs: ask again when it has ended.'
    : `Probably left behind by a killed job. If so, end it: ${stale.map(({ pid }) => `select pg_terminate_backend(${pid})`).join('; ')}.`;
}

async function begin(
  event: PreMigrationSnapshotEvent,
  { instance, address }: LiveInstance,
  deps: PreMigrationSnapshotDeps,
  {
    snapshotId,
    database,
    pending,
  }: { snapshotId: string; database: CheckMigrationsResult; pending: Migration[] | undefined },
): Promise<PreMigrationSnapshotResult> {
  const days = deps.snapshotRetentionDays;
  try {
    const snapshot = await takeSnapshot(
      {
        instance,
        address,
        snapshotId,
        migrations: pending,
        database,
        marks: {
          role: 'pre-migration',
          'deployment-id': event.deploymentId,
          'expires-at': new Date(deps.now().getTime() + days * 86_400_000).toISOString(),
          ...(event.commit ? { commit: event.commit } : {}),
          ...(event.actor ? { actor: event.actor } : {}),
          ...(event.runUrl ? { 'run-url': event.runUrl } : {}),
        },
      },
      {
        ...deps,
        databaseUrlSecretId: required(deps.databaseUrlSecretId, 'DATABASE_URL_SECRET_ID'),
        masterSecretId: required(deps.masterSecretId, 'MASTER_SECRET_ID'),
      },
    );
    // Even if it should be available already, the final answer is that of the next call: after the checks.
    return creating(snapshotId, address.instanceId, snapshot);
  } catch (error) {
    if (!(error instanceof InstanceBusy)) throw error;
    return {
      status: 'creating',
      snapshotId,
      instanceId: address.instanceId,
      progressPercent: 0,
      waitingFor: error.fact,
    };
  }
}

function creating(snapshotId: string, instanceId: string, snapshot: DBSnapshot): PreMigrationSnapshotResult {
  return { status: 'creating', snapshotId, instanceId, progressPercent: snapshot.PercentProgress ?? 0 };
}

/** True while it is being made, false when it is there. Throws SnapshotUnusable. */
function isCreating(snapshot: DBSnapshot, environment: EnvironmentName): boolean {
  const { DBSnapshotIdentifier: id = '', Status: status = 'unknown' } = snapshot;
  const marks = readMarks(snapshot.TagList);
  if (marks.role !== 'pre-migration' || marks.environment !== environment)
    throw new SnapshotUnusable(
      `Snapshot ${id} exists and is not a pre-migration snapshot of ${environment} by its tags.`,
      'Find out whose it is, or use another deployment id.',
    );
  if (status !== 'creating' && status !== 'available')
    throw new SnapshotUnusable(
      `Snapshot ${id} is "${status}".`,
      'Delete it and ask again, or use another deployment id.',
    );
  return status === 'creating';
}

function ofSnapshot(snapshot: DBSnapshot, notes: string[]): PreMigrationSnapshotResult {
  const snapshotId = snapshot.DBSnapshotIdentifier ?? '';
  return {
    status: 'available',
    snapshotId,
    instanceId: snapshot.DBInstanceIdentifier ?? '',
    databaseTime: (snapshot.SnapshotDatabaseTime ?? snapshot.SnapshotCreateTime ?? new Date(0)).toISOString(),
    expiresAt: readMarks(snapshot.TagList)['expires-at'] ?? '',
    recoveryInput: recoveryInput({ to: 'snapshot', snapshotId }),
    notes,
  };
}

function ofTime(time: string, instanceId: string, notes: string[]): PreMigrationSnapshotResult {
  return { status: 'available', time, instanceId, recoveryInput: recoveryInput({ to: 'time', time }), notes };
}

function recoveryInput(restore: RestoreRequest) {
  return {
    mode: 'recover' as const,
    restore,
    reason: 'why the database goes back',
    requestedBy: 'your name',
  };
}

/** Asked after the migration: how it ended stands with the restore point from then on. */
async function recordOutcome(
  event: PreMigrationSnapshotEvent,
  outcome: 'succeeded' | 'failed',
  { instance, address }: LiveInstance,
  { rds, environment, now }: PreMigrationSnapshotDeps,
): Promise<PreMigrationSnapshotResult> {
  const marker = findMarker(instance.TagList, event.deploymentId);
  if (marker) {
    const { deploymentId } = event;
    const migrations = [...marker.migrations].reverse();
    await writeMarker(rds, instance, { deploymentId, time: new Date(marker.time), outcome, migrations });
    return { status: 'recorded', outcome };
  }
  const snapshot = await findSnapshot(rds, preMigrationSnapshotId(address, event.deploymentId));
  if (!snapshot)
    return {
      status: 'skipped',
      reason: `Deployment ${event.deploymentId} has no restore point of ${address.instanceId}.`,
    };
  isCreating(snapshot, environment);
  await rds.send(
    new AddTagsToResourceCommand({
      ResourceName: snapshot.DBSnapshotArn,
      Tags: writeMarks({
        role: 'pre-migration',
        environment,
        outcome,
        'outcome-at': now().toISOString(),
      }),
    }),
  );
  return { status: 'recorded', outcome };
}
