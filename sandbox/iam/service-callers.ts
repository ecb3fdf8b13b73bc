import type { Account } from '../core/account';
import { ApiError, type ServiceCaller } from '../core/api';
import { resourcePolicyAllows, type Principal } from './evaluate';
import type { PermissionRequest } from './permission-request';

/** A service of AWS as the policy of a resource sees it. */
export function servicePrincipal(account: Account, { service, sourceArn }: ServiceCaller): Principal {
  return {
    arn: service,
    context: {
      'aws:SourceArn': sourceArn,
      'aws:SourceAccount': account.accountId,
      'aws:PrincipalIsAWSService': 'true',
      'aws:PrincipalServiceName': service,
      'aws:SecureTransport': 'true',
    },
  };
}

/**
 * Whether a topic's policy lets in whoever acts for its owner, as the policy does that SNS gives every topic. CloudWatch gets
 * in that way, too; other services do not.
 */
export async function ownerMay(account: Account, request: PermissionRequest): Promise<boolean> {
  if (request.resourcePolicy === undefined) return false;
  // Somebody of another account is let in by nothing but the resource's policy.
  const stranger = {
    arn: `arn:${account.partition}:iam::000000000000:role/stranger`,
    context: { 'aws:SourceOwner': account.accountId, 'aws:SecureTransport': 'true' },
  };
  return resourcePolicyAllows(stranger, request, false);
}

/** How a refusal names a service: CloudWatch's alarms are refused in their own name. */
export function refusedName({ service, sourceArn }: ServiceCaller): string {
  return service === 'cloudwatch.amazonaws.com' ? `Resource: ${sourceArn}` : `User: ${service}`;
}

/** The refusal of a role that does not trust the service that was told to take it. */
export function cannotAssume(service: string, roleArn: string): ApiError {
  return new ApiError(
    'AccessDenied',
    `User: ${service} is not authorized to perform: sts:AssumeRole on resource: ${roleArn}`,
    403,
  );
}
