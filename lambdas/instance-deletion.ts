import {
  DeleteDBInstanceCommand,
  ModifyDBInstanceCommand,
  type DBInstance,
  type DeleteDBInstanceMessage,
  type RDSClient,
} from '@aws-sdk/client-rds';
import { isAwsError } from './errors';

/** Asks RDS to delete an instance that the caller has found to be one that may go, its deletion protection first. */
export async function deleteInstance(
  rds: RDSClient,
  { DBInstanceIdentifier, DeletionProtection }: DBInstance,
  whatStays: Omit<DeleteDBInstanceMessage, 'DBInstanceIdentifier'>,
): Promise<void> {
  if (DeletionProtection)
    await rds.send(
      new ModifyDBInstanceCommand({
        DBInstanceIdentifier,
        DeletionProtection: false,
        ApplyImmediately: true,
      }),
    );
  await rds.send(new DeleteDBInstanceCommand({ DBInstanceIdentifier, ...whatStays }));
}

/**
 * True where RDS refuses to delete an instance for now: it is busy, gone already (the answer of an earlier call was lost), or
 * was unprotected a moment ago and is still taken for protected.
 */
export function isDeletionForLater(error: unknown, { DeletionProtection = false }: DBInstance): boolean {
  return (
    isAwsError(error, 'InvalidDBInstanceStateFault', 'InvalidDBInstanceState') ||
    isAwsError(error, 'DBInstanceNotFoundFault', 'DBInstanceNotFound') ||
    (DeletionProtection &&
      isAwsError(error, 'InvalidParameterCombinationException', 'InvalidParameterCombination'))
  );
}
