import type { Construct } from 'constructs';
import type { RestorePointFunctionName } from '../lambdas/contract';
import type { Permission } from './permission';
import type { PermissionScope } from './permissions';

/** What each function around restore points may ask of AWS; in the same way as `functionPermissions`. */
export function restorePointPermissions(
  _scope: Construct,
  { databaseUrlSecret }: PermissionScope,
): Readonly<Record<RestorePointFunctionName, readonly Permission[]>> {
  return {
    'check-migrations': [
      {
        sid: 'ReadDatabaseUrl',
        actions: ['secretsmanager:GetSecretValue'],
        resources: [databaseUrlSecret.secretArn],
      },
    ],
  };
}
