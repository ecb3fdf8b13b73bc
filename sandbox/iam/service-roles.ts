import type { Account } from '../core/account';
import { ApiError } from '../core/api';
import type { RoleRecord } from '../deploy/iam-registry';
import { resourcePolicyAllows, type Principal } from './evaluate';
import type { PermissionRequest } from './permission-request';
import { checkConditionKeys } from './policies';

/** Whether the role's trust policy lets a service or another principal take the role. */
export async function isTrusted(
  account: Account,
  role: RoleRecord,
  principal: { readonly service: string; readonly sourceArn?: string } | Principal,
): Promise<boolean> {
  const isService = 'service' in principal;
  checkConditionKeys({ name: `trust policy of ${role.name}`, document: role.trust });
  return resourcePolicyAllows(
    {
      arn: isService ? principal.service : principal.arn,
      context: {
        'aws:SourceAccount': account.accountId,
        ...(!isService && principal.context),
        ...(isService && principal.sourceArn !== undefined && { 'aws:SourceArn': principal.sourceArn }),
      },
    },
    { action: 'sts:AssumeRole', resource: role.arn, resourcePolicy: role.trust },
    isService,
  );
}

/** Lambda's refusal of a role that it may not take. */
export function roleNotAssumable(): ApiError {
  return new ApiError(
    'InvalidParameterValueException',
    'The role defined for the function cannot be assumed by Lambda.',
  );
}

/** Lambda's refusal of a role that does not let it make network interfaces. */
export function noNetworkInterfaces(): ApiError {
  return new ApiError(
    'InvalidParameterValueException',
    'The provided execution role does not have permissions to call CreateNetworkInterface on EC2',
  );
}

/** Step Functions' refusal of a role that it may not take. */
export function machineRoleNotAssumable(account: Account): ApiError {
  return new ApiError(
    'AccessDeniedException',
    `Neither the global service principal states.amazonaws.com, nor the regional one states.${account.region}.amazonaws.com is authorized to assume the provided role.`,
  );
}

/** Step Functions' refusal of a role that does not let it set up the machine's log. */
export function noLogDestination(): ApiError {
  return new ApiError(
    'AccessDeniedException',
    'The state machine IAM Role is not authorized to access the Log Destination',
  );
}

/** What Lambda itself does with a function's role to put the function into a network. */
export const NETWORK_INTERFACE_REQUESTS: readonly PermissionRequest[] = [
  'CreateNetworkInterface',
  'DeleteNetworkInterface',
  'DescribeNetworkInterfaces',
  'DescribeSubnets',
  'AssignPrivateIpAddresses',
  'UnassignPrivateIpAddresses',
].map((operation) => ({ action: `ec2:${operation}`, resource: '*' }));

/** What Lambda itself does with a function's role to write its log. */
export function logRequests(account: Account, logGroup: string): PermissionRequest[] {
  const group = `arn:${account.partition}:logs:${account.region}:${account.accountId}:log-group:${logGroup}`;
  return [
    { action: 'logs:CreateLogStream', resource: `${group}:log-stream:stream` },
    { action: 'logs:PutLogEvents', resource: `${group}:log-stream:stream` },
  ];
}

/** What Step Functions does with a machine's role to set up its log. */
export const LOG_DELIVERY_REQUESTS: readonly PermissionRequest[] = [
  'CreateLogDelivery',
  'GetLogDelivery',
  'UpdateLogDelivery',
  'DeleteLogDelivery',
  'ListLogDeliveries',
  'PutResourcePolicy',
  'DescribeResourcePolicies',
  'DescribeLogGroups',
].map((operation) => ({ action: `logs:${operation}`, resource: '*' }));
