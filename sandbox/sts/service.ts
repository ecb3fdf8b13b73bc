import type { AssumeRoleRequest, AssumeRoleResponse, GetCallerIdentityResponse } from '@aws-sdk/client-sts';
import { arn } from '../core/account';
import { ApiError, type Operation, type RequestContext, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';

const DEFAULT_DURATION_SECONDS = 3600;

/** STS: who am I, and let me be another role of this account. Whether it may be is for `sandbox/iam` to say, as of every call. */
export class StsService implements Service {
  readonly name = 'sts';
  readonly operations: Readonly<Record<string, Operation>>;

  constructor(private readonly context: SandboxContext) {
    this.operations = {
      GetCallerIdentity: async (_input: object, request: RequestContext) => this.identityOf(request),
      AssumeRole: async (input: AssumeRoleRequest) => this.assumeRole(input),
    };
  }

  private identityOf({ caller }: RequestContext): GetCallerIdentityResponse {
    const role = roleOf(caller.arn);
    const session = caller.functionName ?? 'sandbox';
    return {
      Account: this.context.account.accountId,
      Arn: role === undefined ? caller.arn : this.sessionArn(role, session),
      UserId: role === undefined ? 'AIDASANDBOX' : `AROASANDBOX:${session}`,
    };
  }

  private assumeRole(input: AssumeRoleRequest): AssumeRoleResponse {
    const roleArn = input.RoleArn ?? '';
    const role = roleOf(roleArn);
    const session = input.RoleSessionName ?? '';
    if (
      role === undefined ||
      !roleArn.startsWith(arn(this.context.account, 'iam', 'role/', { regional: false }))
    )
      throw new ApiError(
        'AccessDenied',
        `${roleArn} is not a role of the sandbox's account ${this.context.account.accountId}.`,
        403,
      );
    const { accessKeyId, secretAccessKey, sessionToken } = this.context.callers.credentialsFor({
      arn: roleArn,
    });
    const seconds = input.DurationSeconds ?? DEFAULT_DURATION_SECONDS;
    return {
      Credentials: {
        AccessKeyId: accessKeyId,
        SecretAccessKey: secretAccessKey,
        SessionToken: sessionToken,
        Expiration: new Date(this.context.clock.now().getTime() + seconds * 1000),
      },
      AssumedRoleUser: { AssumedRoleId: `AROASANDBOX:${session}`, Arn: this.sessionArn(role, session) },
    };
  }

  private sessionArn(role: string, session: string): string {
    return arn(this.context.account, 'sts', `assumed-role/${role}/${session}`, { regional: false });
  }
}

/** Name of the role that an ARN means, without its path. */
function roleOf(roleArn: string): string | undefined {
  return /:role\/(?:.*\/)?([^/]+)$/.exec(roleArn)?.[1];
}
