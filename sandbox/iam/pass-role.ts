import type { PermissionRequest } from './permission-request';

/** What a call needs that hands a role to a service; nothing when it hands none. */
export function passRole(roleArn: string | undefined, service: string): PermissionRequest[] {
  if (roleArn === undefined) return [];
  return [{ action: 'iam:PassRole', resource: roleArn, context: { 'iam:PassedToService': service } }];
}
