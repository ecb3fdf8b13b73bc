import type * as z from 'zod/mini';
import { CreateDBSnapshotCommand, type DBSnapshot, type RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  PreMigrationSnapshotEvent,
  type EnvironmentName,
  type PreMigrationSnapshotResult,
} from '../contract';
import { RollbackError, isAwsError } from '../errors';
import { findLiveInstance } from '../live-instance';
import { preMigrationSnapshotId } from '../names';
import { parse } from '../parse';
import { findSnapshot } from '../rds';
import { required } from '../secrets';
import { readMarks, writeMarks, writeMigrations } from '../tags';

export interface PreMigrationSnapshotDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly environment: EnvironmentName;
  readonly databaseUrlSecretId: string | undefined;
  readonly snapshotRetentionDays: number;
  readonly now: () => Date;
}

/**
 * Takes the snapshot that lets a deployment's migrations be undone; asked again for the same deployment, says how far it
 * is. Whatever CI can do something about is answered as `refused`; only other failures of AWS are thrown.
 */
export async function preMigrationSnapshot(
  event: unknown,
  deps: PreMigrationSnapshotDeps,
): Promise<PreMigrationSnapshotResult> {
  if (deps.environment === 'development' || deps.snapshotRetentionDays === 0)
    return { status: 'skipped', reason: `No snapshots are kept in ${deps.environment}.` };
  try {
    return await takeSnapshot(parse(PreMigrationSnapshotEvent, event, 'request'), deps);
  } catch (error) {
    if (error instanceof RollbackError) return { status: 'refused', reason: error.fact, hint: error.hint };
    throw error;
  }
}

async function takeSnapshot(
  event: z.infer<typeof PreMigrationSnapshotEvent>,
  deps: PreMigrationSnapshotDeps,
): Promise<PreMigrationSnapshotResult> {
  const { rds, secrets, environment } = deps;
  const secretId = required(deps.databaseUrlSecretId, 'DATABASE_URL_SECRET_ID');
  const { instance, address: live } = await findLiveInstance(rds, secrets, secretId);
  const snapshotId = preMigrationSnapshotId(live, event.deploymentId);

  const existing = await findSnapshot(rds, snapshotId);
  if (existing) return answer(existing, environment);

  const status = instance.DBInstanceStatus ?? 'unknown';
  if (status !== 'available' && status !== 'storage-optimization') return busy(live.instanceId, status);
  const expiresAt = new Date(deps.now().getTime() + deps.snapshotRetentionDays * 86_400_000).toISOString();
  try {
    const { DBSnapshot } = await rds.send(
      new CreateDBSnapshotCommand({
        DBInstanceIdentifier: live.instanceId,
        DBSnapshotIdentifier: snapshotId,
        Tags: [
          ...writeMarks({
            role: 'pre-migration',
            environment,
            'deployment-id': event.deploymentId,
            'expires-at': expiresAt,
            ...(event.commit ? { commit: event.commit } : {}),
            ...(event.actor ? { actor: event.actor } : {}),
            ...(event.runUrl ? { 'run-url': event.runUrl } : {}),
          }),
          ...(event.migrations ? writeMigrations(event.migrations) : []),
        ],
      }),
    );
    return {
      status: 'creating',
      snapshotId,
      instanceId: live.instanceId,
      progressPercent: DBSnapshot?.PercentProgress ?? 0,
    };
  } catch (error) {
    if (isAwsError(error, 'DBSnapshotAlreadyExistsFault', 'DBSnapshotAlreadyExists')) {
      const made = await findSnapshot(rds, snapshotId);
      if (made) return answer(made, environment);
    }
    if (isAwsError(error, 'InvalidDBInstanceStateFault', 'InvalidDBInstanceState'))
      return busy(live.instanceId, 'busy');
    if (isAwsError(error, 'SnapshotQuotaExceededFault', 'SnapshotQuotaExceeded'))
      return {
        status: 'refused',
        reason: 'The quota of manual snapshots of this account and Region is used up.',
        hint: 'Delete snapshots that nobody needs, or ask AWS for a higher quota.',
      };
    throw error;
  }
}

function busy(instanceId: string, status: string): PreMigrationSnapshotResult {
  return {
    status: 'refused',
    reason: `Instance ${instanceId} is "${status}"; RDS takes a snapshot only of an available one.`,
    hint: 'Call again in a few minutes, for instance when an automated backup is done.',
  };
}

function answer(snapshot: DBSnapshot, environment: EnvironmentName): PreMigrationSnapshotResult {
  const snapshotId = snapshot.DBSnapshotIdentifier ?? '';
  const instanceId = snapshot.DBInstanceIdentifier ?? '';
  const marks = readMarks(snapshot.TagList);
  if (marks.role !== 'pre-migration' || marks.environment !== environment)
    return {
      status: 'refused',
      reason: `Snapshot ${snapshotId} exists and is not a pre-migration snapshot of ${environment} by its tags.`,
      hint: 'Find out whose it is, or use another deployment id.',
    };
  if (snapshot.Status === 'available')
    return {
      status: 'available',
      snapshotId,
      instanceId,
      databaseTime: (
        snapshot.SnapshotDatabaseTime ??
        snapshot.SnapshotCreateTime ??
        new Date(0)
      ).toISOString(),
      expiresAt: marks['expires-at'] ?? '',
    };
  if (snapshot.Status === 'creating')
    return { status: 'creating', snapshotId, instanceId, progressPercent: snapshot.PercentProgress ?? 0 };
  return {
    status: 'refused',
    reason: `Snapshot ${snapshotId} is "${snapshot.Status ?? 'unknown'}".`,
    hint: 'Delete it and call again, or use another deployment id.',
  };
}
