import type { Construct } from 'constructs';
import type { CopyFunctionName } from '../lambdas/contract';
import type { Permission } from './permission';
import { COPIED, copyTerms, permissionTerms, type PermissionScope } from './permission-terms';
import { deadLettersName } from './restore-point-permissions';

/** What each function of the copies may ask of AWS; undefined where there are none. */
export function copyPermissions(
  scope: Construct,
  permissions: PermissionScope,
): Readonly<Record<CopyFunctionName, readonly Permission[]>> | undefined {
  const copies = copyTerms(scope, permissions);
  if (!copies) return undefined;
  const { stack, rds, describeSnapshots } = permissionTerms(scope, permissions);
  const { copy, describeCopies, deleteCopies } = copies;
  // In the Region of the copy, RDS need not know the tags of what is in another one.
  const read = (sid: string, snapshot: string): Permission => ({
    sid,
    actions: ['rds:CopyDBSnapshot'],
    resources: [snapshot],
    wildcardReason:
      'Snapshots are named after days and deployments. Nothing is made of one that is not allowed by the statement beside it.',
  });
  const make = (sid: string, snapshot: string): Permission => ({
    sid,
    actions: ['rds:CopyDBSnapshot', 'rds:AddTagsToResource'],
    resources: [snapshot],
    conditions: {
      StringEquals: {
        'aws:RequestTag/migration-rollback:environment': permissions.environment,
        'aws:RequestTag/migration-rollback:role': COPIED,
      },
    },
    wildcardReason:
      'A copy is named as its snapshot. The condition allows nothing but snapshots with the tags of this system.',
  });
  return {
    'copy-snapshots': [
      describeSnapshots,
      describeCopies,
      deleteCopies,
      read('ReadSnapshot', rds('snapshot')),
      make('MakeCopy', copy),
      {
        sid: 'SendFailures',
        actions: ['sqs:SendMessage'],
        resources: [stack.formatArn({ service: 'sqs', resource: deadLettersName(permissions.environment) })],
      },
    ],
    'bring-back-copy': [
      describeSnapshots,
      describeCopies,
      read('ReadCopy', copy),
      make('MakeSnapshot', rds('snapshot')),
    ],
  };
}
