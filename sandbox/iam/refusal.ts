import { ApiError, type ServiceName } from '../core/api';
import type { Denial } from './evaluate';
import type { PermissionRequest } from './permission-request';

/** How each service names and numbers a refusal. */
const REFUSALS: Readonly<Record<ServiceName, { readonly code: string; readonly status: number }>> = {
  rds: { code: 'AccessDenied', status: 403 },
  sts: { code: 'AccessDenied', status: 403 },
  monitoring: { code: 'AccessDenied', status: 403 },
  sns: { code: 'AuthorizationErrorException', status: 403 },
  lambda: { code: 'AccessDeniedException', status: 403 },
  scheduler: { code: 'AccessDeniedException', status: 403 },
  secretsmanager: { code: 'AccessDeniedException', status: 400 },
  states: { code: 'AccessDeniedException', status: 400 },
  events: { code: 'AccessDeniedException', status: 400 },
  ecs: { code: 'AccessDeniedException', status: 400 },
  s3: { code: 'AccessDenied', status: 403 },
  cloudformation: { code: 'AccessDenied', status: 403 },
  ssm: { code: 'AccessDeniedException', status: 400 },
  sqs: { code: 'AccessDenied', status: 403 },
};

/** AWS's own error for a call that is not allowed. `who` with its kind before it: `User: arn:aws:sts::…`. */
export function refusal(
  service: ServiceName,
  who: string,
  { action, resource, keyOfRds }: PermissionRequest,
  because: Denial,
): ApiError {
  if (keyOfRds !== undefined)
    return new ApiError(
      'KMSKeyNotAccessibleFault',
      `The ${keyOfRds} KMS key [${resource}] does not exist, is not enabled or you do not have permissions to access it.`,
    );
  const { code, status } = REFUSALS[service];
  // SNS writes its own name in capitals, SQS its actions in small letters, and nobody else does.
  const name = service === 'sqs' ? action.toLowerCase() : action.replace(/^sns:/, 'SNS:');
  return new ApiError(
    code,
    `${who} is not authorized to perform: ${name} on resource: ${resource} ${reason(because, name)}`,
    status,
  );
}

function reason(because: Denial, action: string): string {
  switch (because) {
    case 'no identity policy':
      return `because no identity-based policy allows the ${action} action`;
    case 'no resource policy':
      return `because no resource-based policy allows the ${action} action`;
    case 'no boundary':
      return `because no permissions boundary allows the ${action} action`;
    case 'identity policy denies':
      return 'with an explicit deny in an identity-based policy';
    case 'resource policy denies':
      return 'with an explicit deny in a resource-based policy';
    case 'boundary denies':
      return 'with an explicit deny in a permissions boundary';
  }
}
