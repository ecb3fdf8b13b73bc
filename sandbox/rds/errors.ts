import { ApiError } from '../core/api';

/** The errors of RDS, in its own words. Codes are the names that the SDK gives them. */

export const instanceNotFound = (id: string): ApiError =>
  new ApiError('DBInstanceNotFoundFault', `DBInstance ${id} not found.`, 404);

export const instanceAlreadyExists = (): ApiError =>
  new ApiError('DBInstanceAlreadyExistsFault', 'DB instance already exists');

export const instanceQuotaExceeded = (maximum: number): ApiError =>
  new ApiError(
    'InstanceQuotaExceededFault',
    `The request cannot be processed because it would exceed the maximum number of DB instances (${maximum}).`,
  );

export const invalidInstanceState = (message: string): ApiError =>
  new ApiError('InvalidDBInstanceStateFault', message);

export const snapshotNeedsAvailable = (id: string): ApiError =>
  invalidInstanceState(
    `Cannot create a snapshot because the database instance ${id} is not currently in the available state.`,
  );

export const snapshotNotFound = (id: string): ApiError =>
  new ApiError('DBSnapshotNotFoundFault', `DBSnapshot ${id} not found.`, 404);

export const snapshotAlreadyExists = (id: string): ApiError =>
  new ApiError(
    'DBSnapshotAlreadyExistsFault',
    `Cannot create the snapshot because a snapshot with the identifier ${id} already exists.`,
  );

export const snapshotQuotaExceeded = (maximum: number): ApiError =>
  new ApiError('SnapshotQuotaExceededFault', `Cannot create more than ${maximum} manual snapshots`);

export const invalidSnapshotState = (id: string, status: string): ApiError =>
  new ApiError(
    'InvalidDBSnapshotStateFault',
    `The snapshot ${id} is in the ${status} state. It must be in the available state.`,
  );

export const pointInTimeNotEnabled = (id: string): ApiError =>
  new ApiError(
    'PointInTimeRestoreNotEnabledFault',
    `Point in time restore is not enabled for the source DB instance ${id}.`,
  );

export const automatedBackupNotFound = (id: string): ApiError =>
  new ApiError('DBInstanceAutomatedBackupNotFoundFault', `DBInstanceAutomatedBackup ${id} not found.`, 404);

export const parameterGroupNotFound = (name: string): ApiError =>
  new ApiError('DBParameterGroupNotFoundFault', `DBParameterGroup not found: ${name}`, 404);

export const subnetGroupNotFound = (name: string): ApiError =>
  new ApiError('DBSubnetGroupNotFoundFault', `DB subnet group '${name}' does not exist.`, 404);

/** `None` is RDS's own word for no key. */
export const targetKeyNotAccessible = (key = 'None'): ApiError =>
  new ApiError(
    'KMSKeyNotAccessibleFault',
    `The target KMS key [${key}] does not exist, is not enabled or you do not have permissions to access it.`,
  );

export const invalidValue = (message: string): ApiError => new ApiError('InvalidParameterValue', message);

export const invalidCombination = (message: string): ApiError =>
  new ApiError('InvalidParameterCombination', message);
