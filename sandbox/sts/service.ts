import type { AssumeRoleRequest, AssumeRoleResponse, GetCallerIdentityResponse } from '@aws-sdk/client-sts';
import { accountIn } from '../core/account';
import { ApiError, NotInSandbox, type Operation, type RequestContext, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';

const DEFAULT_DURATION_SECONDS = 3600;
/** Who is a role already gets another one for an hour at most. */
const LONGEST_CHAINED_SECONDS = 3600;
const SHORTEST_SECONDS = 900;
const ASSUME_ROLE_MEMBERS = ['RoleArn', 'RoleSessionName', 'DurationSeconds', 'ExternalId'];

/** STS: who am I, and let me be another role. Whether it may be is for `sandbox/iam` to say, as of every call. */
export class StsService implements Service {
  readonly name = 'sts';
  readonly operations: Readonly<Record<string, Operation>>;

  constructor(private readonly context: SandboxContext) {
    this.operations = {
      GetCallerIdentity: async (_input: object, request: RequestContext) => this.identityOf(request),
      AssumeRole: async (input: AssumeRoleRequest, request: RequestContext) =>
        this.assumeRole(input, request),
    };
  }

  private identityOf({ caller }: RequestContext): GetCallerIdentityResponse {
    const role = roleOf(caller.arn);
    const session = caller.session?.name ?? caller.functionName ?? 'sandbox';
    return {
      Account: this.context.account.accountId,
      Arn: role === undefined ? caller.arn : this.sessionArn(caller.arn, role, session),
      UserId: role === undefined ? 'AIDASANDBOX' : `AROASANDBOX:${session}`,
    };
  }

  private assumeRole(input: AssumeRoleRequest, { caller }: RequestContext): AssumeRoleResponse {
    for (const [member, value] of Object.entries(input))
      if (value !== undefined && !ASSUME_ROLE_MEMBERS.includes(member))
        throw new NotInSandbox(`STS AssumeRole member ${member}`);
    const roleArn = input.RoleArn ?? '';
    const role = roleOf(roleArn);
    if (role === undefined) throw new ApiError('ValidationError', `${roleArn} is invalid`);
    const name = input.RoleSessionName ?? '';
    const seconds = input.DurationSeconds ?? DEFAULT_DURATION_SECONDS;
    if (seconds < SHORTEST_SECONDS)
      throw new ApiError(
        'ValidationError',
        `1 validation error detected: Value '${seconds}' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to ${SHORTEST_SECONDS}`,
      );
    if (roleOf(caller.arn) !== undefined && seconds > LONGEST_CHAINED_SECONDS)
      throw new ApiError(
        'ValidationError',
        'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining',
      );
    const until = new Date(this.context.clock.now().getTime() + seconds * 1000);
    const { accessKeyId, secretAccessKey, sessionToken } = this.context.callers.credentialsFor({
      arn: roleArn,
      session: { name, until },
    });
    return {
      Credentials: {
        AccessKeyId: accessKeyId,
        SecretAccessKey: secretAccessKey,
        SessionToken: sessionToken,
        Expiration: until,
      },
      AssumedRoleUser: {
        AssumedRoleId: `AROASANDBOX:${name}`,
        Arn: this.sessionArn(roleArn, role, name),
      },
    };
  }

  private sessionArn(roleArn: string, role: string, session: string): string {
    const { partition, accountId } = this.context.account;
    return `arn:${partition}:sts::${accountIn(roleArn) ?? accountId}:assumed-role/${role}/${session}`;
  }
}

/** Name of the role that an ARN means, without its path. */
function roleOf(roleArn: string): string | undefined {
  return /:role\/(?:.*\/)?([^/]+)$/.exec(roleArn)?.[1];
}
