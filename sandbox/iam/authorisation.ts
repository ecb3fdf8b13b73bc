import { z } from 'zod';
import { accountIn, administratorOf, arn, type Account } from '../core/account';
import {
  ApiError,
  type Api,
  type ApiCall,
  type Caller,
  type Interceptor,
  type ServiceCaller,
  type ServiceName,
} from '../core/api';
import type { Lasting } from '../core/state-directory';
import type { IamRegistry, RoleRecord } from '../deploy/iam-registry';
import type { Keys } from '../deploy/keys';
import { Evaluator, resourcePolicyAllows, type Principal } from './evaluate';
import type { FunctionSettings } from '../lambda/function';
import type { GrantedPermission } from './granted-permission';
import { Lookup } from './lookup';
import type { PermissionRequest } from './permission-request';
import { refusal } from './refusal';
import { assumeRoleContext, requestsOf } from './requests';
import { cannotAssume, ownerMay, refusedName, servicePrincipal } from './service-callers';
import {
  isTrusted,
  LOG_DELIVERY_REQUESTS,
  logRequests,
  machineRoleNotAssumable,
  NETWORK_INTERFACE_REQUESTS,
  noLogDestination,
  noNetworkInterfaces,
  roleNotAssumable,
} from './service-roles';
import { grantedPermissions, neverUsed, type UsageReport } from './usage';

export interface AuthorisationOptions {
  readonly api: Api;
  /** The home account. */
  readonly account: Account;
  /** The roles that have been deployed, in whatever account. */
  readonly registry: IamRegistry;
  readonly keys: Keys;
  readonly now: () => Date;
  readonly log: (line: string) => void;
}

/**
 * Allows an API call only if the policies of the caller's role do, as IAM would. The account's administrator and services of
 * AWS pass; so does a role that no stack has deployed here, since nobody knows its policies (the log says so once).
 */
export class Authorisation implements Lasting<ReadonlySet<string>> {
  private readonly evaluator: Evaluator;
  private readonly used = new Set<string>();
  private readonly unknownRoles = new Set<string>();

  constructor(private readonly options: AuthorisationOptions) {
    this.evaluator = new Evaluator(options.registry);
  }

  /** @throws ApiError as the service of the call refuses it */
  readonly interceptor: Interceptor = async (call, next) => {
    const { caller, service } = call.context;
    if (caller.session && caller.session.until <= this.options.now()) throw sessionExpired(service);
    await this.check(call);
    await this.checkRolesHandedOver(call);
    return next();
  };

  /** What the roles may do, and what of it they did. */
  async usage(): Promise<UsageReport> {
    return { granted: await grantedPermissions(this.options.registry), used: new Set(this.used) };
  }

  /** The permissions that were granted and have not been used so far. */
  async unused(): Promise<GrantedPermission[]> {
    return neverUsed(await this.usage());
  }

  save(): ReadonlySet<string> {
    return this.used;
  }

  load(used: ReadonlySet<string>): void {
    for (const key of used) this.used.add(key);
  }

  /** What Lambda looks at when a function is made or gets another role. @throws ApiError as Lambda refuses the role */
  async checkFunctionRole({
    role: roleArn,
    logGroup,
    network,
  }: Pick<FunctionSettings, 'role' | 'logGroup' | 'network'>): Promise<void> {
    const role = this.deployedRole(roleArn);
    if (!role) return;
    const account = this.accountWith(accountIn(roleArn));
    if (!(await isTrusted(account, role, { service: 'lambda.amazonaws.com' }))) throw roleNotAssumable();
    const principal = this.principalOf(role, { arn: roleArn });
    if (network)
      for (const request of NETWORK_INTERFACE_REQUESTS)
        if (!(await this.isAllowed(role, principal, request))) throw noNetworkInterfaces();
    // Without them a function runs and leaves no log.
    for (const request of logRequests(account, logGroup))
      if (!(await this.isAllowed(role, principal, request)))
        this.options.log(
          `iam: ${roleArn} does not allow ${request.action} on ${request.resource}: no log on AWS`,
        );
  }

  private async check(call: ApiCall): Promise<void> {
    const { service, caller } = call.context;
    if (caller.via?.service === caller.arn) return this.checkService(call, caller.via);
    const account = this.accountOf(call);
    const role = this.deployedRole(caller.arn);
    if (!role) return this.checkKeys(call, account);
    if (caller.via && !(await isTrusted(account, role, caller.via)))
      throw cannotAssume(caller.via.service, role.arn);
    const principal = this.principalOf(role, caller, account.region);
    for (const request of await requestsOf(call, account, this.lookupIn(account))) {
      const decision = await this.evaluator.decide(role, principal, request);
      if (!decision.allowed) throw refusal(service, `User: ${principal.arn}`, request, decision.because);
      for (const key of decision.by) this.used.add(key);
    }
  }

  /** Who may do everything in an account may do with a key, their own or another account's, what its policy lets them do. */
  private async checkKeys(call: ApiCall, account: Account): Promise<void> {
    if (`${call.context.service}:${call.context.operation}` !== 'rds:CopyDBSnapshot') return;
    const principal = this.userOf(call.context.caller);
    for (const request of await requestsOf(call, account, this.lookupIn(account)))
      if (request.action.startsWith('kms:') && !(await resourcePolicyAllows(principal, request, false)))
        throw refusal('rds', `User: ${principal.arn}`, request, 'no resource policy');
  }

  /** A service of AWS that has taken no role is let in by the policy of the resource that it calls, or not at all. */
  private async checkService(call: ApiCall, via: ServiceCaller): Promise<void> {
    const account = this.accountOf(call);
    const principal = servicePrincipal(account, via);
    for (const request of await requestsOf(call, account, this.lookupIn(account))) {
      if (request.resourcePolicy !== undefined && (await resourcePolicyAllows(principal, request, true)))
        continue;
      if (via.service === 'cloudwatch.amazonaws.com' && (await ownerMay(account, request))) continue;
      throw refusal(call.context.service, refusedName(via), request, 'no resource policy');
    }
  }

  /** Services look at the roles that they are given, whoever gives them. */
  private async checkRolesHandedOver(call: ApiCall): Promise<void> {
    const { context, input } = call;
    const account = this.accountOf(call);
    switch (`${context.service}:${context.operation}`) {
      case 'states:CreateStateMachine':
      case 'states:UpdateStateMachine': {
        const { roleArn, loggingConfiguration } = Machine.parse(input);
        const role = roleArn === undefined ? undefined : this.deployedRole(roleArn);
        if (!role) return;
        if (!(await isTrusted(account, role, { service: 'states.amazonaws.com' })))
          throw machineRoleNotAssumable(account);
        if (!loggingConfiguration?.destinations?.length) return;
        const principal = this.principalOf(role, { arn: role.arn });
        for (const request of LOG_DELIVERY_REQUESTS)
          if (!(await this.isAllowed(role, principal, request))) throw noLogDestination();
        return;
      }
      case 'events:PutRule':
      case 'events:PutTargets': {
        const { RoleArn, Rule, Name, Targets } = EventRule.parse(input);
        const via = {
          service: 'events.amazonaws.com',
          sourceArn: arn(account, 'events', `rule/${Rule ?? Name ?? ''}`),
        };
        for (const given of [RoleArn, ...Targets.map((target) => target.RoleArn)]) {
          const role = given === undefined ? undefined : this.deployedRole(given);
          if (role && !(await isTrusted(account, role, via)))
            throw new ApiError(
              'ValidationException',
              `Provided role '${role.arn}' cannot be assumed by principal 'events.amazonaws.com'.`,
            );
        }
        return;
      }
      case 'scheduler:CreateSchedule':
      case 'scheduler:UpdateSchedule': {
        const { GroupName = 'default', Target } = Schedule.parse(input);
        const role = this.deployedRole(Target.RoleArn);
        const sourceArn = arn(account, 'scheduler', `schedule-group/${GroupName}`);
        if (role && !(await isTrusted(account, role, { service: 'scheduler.amazonaws.com', sourceArn })))
          throw new ApiError(
            'ValidationException',
            'The execution role you provide must allow AWS EventBridge Scheduler to assume the role.',
          );
        return;
      }
      case 'sts:AssumeRole': {
        const given = AssumeRole.parse(input);
        const { RoleArn = '' } = given;
        const role = this.deployedRole(RoleArn);
        // A role of the same account that no stack has deployed may do everything, and be taken by everybody there.
        if (!role && accountIn(RoleArn) === account.accountId) return;
        const { caller } = context;
        const own = this.deployedRole(caller.arn);
        const { arn, context: known } = own ? this.principalOf(own, caller) : this.userOf(caller);
        const principal = { arn, context: { ...known, ...assumeRoleContext(given) } };
        if (!role || !(await isTrusted(account, role, principal)))
          throw new ApiError(
            'AccessDenied',
            `User: ${arn} is not authorized to perform: sts:AssumeRole on resource: ${RoleArn}`,
            403,
          );
      }
    }
  }

  private async isAllowed(
    role: RoleRecord,
    principal: Principal,
    request: PermissionRequest,
  ): Promise<boolean> {
    const decision = await this.evaluator.decide(role, principal, request);
    if (decision.allowed) for (const key of decision.by) this.used.add(key);
    return decision.allowed;
  }

  private deployedRole(arn: string): RoleRecord | undefined {
    const role = this.options.registry.role(arn);
    if (!role && arn.includes(':role/') && !this.unknownRoles.has(arn)) {
      this.unknownRoles.add(arn);
      this.options.log(`iam: ${arn} has not been deployed here: it may do everything`);
    }
    return role;
  }

  private accountWith(accountId = this.options.account.accountId): Account {
    return { ...this.options.account, accountId };
  }

  /** Resources are looked at in the name of the account's administrator. */
  private lookupIn(account: Account): Lookup {
    const { api, keys } = this.options;
    return new Lookup(api.inAccount(account.accountId), administratorOf(account), keys);
  }

  /** As the call sees it: of RDS other Regions are there, too. */
  private accountOf({ context: { service, region, accountId } }: ApiCall): Account {
    const account = this.accountWith(accountId);
    return service === 'rds' && region !== undefined ? { ...account, region } : account;
  }

  private principalOf(
    role: RoleRecord,
    { functionName, session }: Caller,
    requestedRegion = this.options.account.region,
  ): Principal {
    const { partition, accountId, region } = this.accountWith(accountIn(role.arn));
    const sessionName = session?.name ?? functionName ?? 'sandbox';
    return {
      arn: `arn:${partition}:sts::${accountId}:assumed-role/${role.name}/${sessionName}`,
      context: {
        'aws:PrincipalArn': role.arn,
        'aws:PrincipalAccount': accountId,
        'aws:PrincipalType': 'AssumedRole',
        'aws:RequestedRegion': requestedRegion,
        // The sandbox listens without TLS, but stands for endpoints that do not.
        'aws:SecureTransport': 'true',
        ...(functionName !== undefined && {
          'lambda:SourceFunctionArn': `arn:${partition}:lambda:${region}:${accountId}:function:${functionName}`,
        }),
      },
    };
  }

  /** The administrator, or a role that no stack has deployed. */
  private userOf({ arn }: Caller): Principal {
    const accountId = accountIn(arn) ?? this.options.account.accountId;
    return {
      arn,
      context: {
        'aws:PrincipalArn': arn,
        'aws:PrincipalAccount': accountId,
        'aws:PrincipalType': 'User',
        'aws:RequestedRegion': this.options.account.region,
        'aws:SecureTransport': 'true',
      },
    };
  }
}

/** An access key that has run out, as the SDKs know it by both names. */
function sessionExpired(service: ServiceName): ApiError {
  const isQuery = ['rds', 'sts', 'sns', 'monitoring', 's3', 'cloudformation'].includes(service);
  return new ApiError(
    isQuery ? 'ExpiredToken' : 'ExpiredTokenException',
    'The security token included in the request is expired',
    isQuery ? 403 : 400,
  );
}

const Machine = z.object({
  roleArn: z.string().optional(),
  loggingConfiguration: z.object({ destinations: z.array(z.unknown()).optional() }).optional(),
});
const EventRule = z.object({
  RoleArn: z.string().optional(),
  Rule: z.string().optional(),
  Name: z.string().optional(),
  Targets: z.array(z.object({ RoleArn: z.string().optional() })).default([]),
});
const Schedule = z.object({
  GroupName: z.string().optional(),
  Target: z.object({ RoleArn: z.string() }),
});
const AssumeRole = z.object({
  RoleArn: z.string().optional(),
  ExternalId: z.string().optional(),
  RoleSessionName: z.string().optional(),
});
