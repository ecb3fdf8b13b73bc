import { runSimulation, type RequestAnalysis, type Simulation } from '@cloud-copilot/iam-simulate';
import { accountIn } from '../core/account';
import type { IamRegistry, NamedPolicy, RoleRecord } from '../deploy/iam-registry';
import { permissionKey, roleLabel } from './granted-permission';
import { policiesOf, type RolePolicies } from './policies';
import { tagContext, type ConditionContext, type PermissionRequest } from './permission-request';

export type Decision =
  | {
      readonly allowed: true;
      /** Keys of the granted permissions that this rests on. */ readonly by: readonly string[];
    }
  | { readonly allowed: false; readonly because: Denial };

/** What refused a request. */
export type Denial =
  | 'no identity policy'
  | 'no resource policy'
  | 'no boundary'
  | 'identity policy denies'
  | 'resource policy denies'
  | 'boundary denies';

/** Whoever asks, as a policy sees it. */
export interface Principal {
  /** `arn:aws:sts::…:assumed-role/<role>/<session>`, or a service such as `lambda.amazonaws.com`. */
  readonly arn: string;
  readonly context: ConditionContext;
}

interface Remembered {
  readonly documents: readonly unknown[];
  readonly policies: RolePolicies;
  readonly decisions: Map<string, Decision>;
}

/** A role asks for much the same all the time: a recovery polls for minutes. */
const MOST_REMEMBERED = 5_000;

/** Decides requests by the policies of roles, with a policy evaluator that is not ours; remembers what it decided. */
export class Evaluator {
  private readonly remembered = new WeakMap<RoleRecord, Remembered>();

  constructor(private readonly registry: IamRegistry) {}

  /** @throws NotInSandbox for a policy that the sandbox could not decide by */
  async decide(role: RoleRecord, principal: Principal, request: PermissionRequest): Promise<Decision> {
    const { policies, decisions } = this.remember(role);
    const key = JSON.stringify([principal, request]);
    const known = decisions.get(key);
    if (known) return known;
    const analysis = await simulate(principal, request, policies);
    const decision: Decision =
      analysis?.result === 'Allowed'
        ? { allowed: true, by: used(role, analysis) }
        : { allowed: false, because: denial(analysis ?? {}, request) };
    if (decisions.size >= MOST_REMEMBERED) decisions.clear();
    decisions.set(key, decision);
    return decision;
  }

  /** Forgets what it decided for a role as soon as the role has other policies. */
  private remember(role: RoleRecord): Remembered {
    const documents = [
      ...role.policies.map(({ document }) => document),
      ...role.managedPolicyArns,
      role.permissionsBoundary,
    ];
    const before = this.remembered.get(role);
    if (
      before?.documents.length === documents.length &&
      before.documents.every((document, index) => document === documents[index])
    )
      return before;
    const now = {
      documents,
      policies: policiesOf(this.registry, role),
      decisions: new Map<string, Decision>(),
    };
    this.remembered.set(role, now);
    return now;
  }
}

const ALL_ALLOWED: RolePolicies = {
  identity: [
    {
      name: 'everything',
      document: { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] },
    },
  ],
  boundary: undefined,
};

/** Whether a resource's own policy lets a principal do that, whatever the principal's own policies say. */
export async function resourcePolicyAllows(
  principal: Principal,
  request: PermissionRequest,
  isService: boolean,
): Promise<boolean> {
  const analysis = await simulate(
    principal,
    request,
    isService ? { identity: [], boundary: undefined } : ALL_ALLOWED,
  );
  return analysis?.result === 'Allowed';
}

/** Whether AWS knows the action for resources of that kind. */
export async function isApplicable(action: string, resourcePattern: string): Promise<boolean> {
  if (resourcePattern === '*') return true;
  const resource = resourcePattern.replaceAll(/[*?]/g, 'x');
  const answer = await runSimulation(
    simulation({ arn: 'arn:aws:iam::123456789012:role/x', context: {} }, { action, resource }, ALL_ALLOWED),
    {},
  );
  return answer.resultType !== 'error';
}

async function simulate(
  principal: Principal,
  request: PermissionRequest,
  policies: RolePolicies,
): Promise<RequestAnalysis | undefined> {
  const answer = await runSimulation(simulation(principal, request, policies), {});
  if (answer.resultType === 'error')
    throw new Error(
      `${request.action} on ${request.resource} cannot be decided: ${JSON.stringify(answer.errors)}`,
    );
  if (answer.resultType === 'single') return answer.result.analysis;
  // "*" for an action that knows resources: decided by what the policies say of each kind of them.
  return (
    answer.results.find(({ analysis }) => analysis.result !== 'Allowed')?.analysis ??
    answer.results[0]?.analysis
  );
}

function simulation(principal: Principal, request: PermissionRequest, policies: RolePolicies): Simulation {
  // The ARN of a bucket names no account.
  const owner = accountIn(request.resource) ?? accountIn(principal.arn) ?? '';
  // Where a resource has no policy, others decide on accounts: RDS whether it is shared, STS by the trust policy of the role.
  const account = request.resourcePolicy === undefined ? (accountIn(principal.arn) ?? owner) : owner;
  const named = ({ name, document }: NamedPolicy): { name: string; policy: unknown } => ({
    name,
    policy: document,
  });
  return {
    request: {
      principal: principal.arn,
      action: request.action,
      resource: { resource: oneResource(request), accountId: account },
      contextVariables: {
        ...principal.context,
        ...(owner !== '' && { 'aws:ResourceAccount': owner }),
        ...tagContext(request),
        ...request.context,
      },
    },
    identityPolicies: policies.identity.map(named),
    ...(policies.boundary && { permissionBoundaryPolicies: [named(policies.boundary)] }),
    ...(request.resourcePolicy !== undefined && { resourcePolicy: request.resourcePolicy }),
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  };
}

/**
 * "All instances" (`…:db:*`) is a resource of its own kind for IAM: a policy for some instances does not allow it. The
 * evaluator would ask whether any is allowed, so it gets a name that no pattern but `*` matches.
 */
function oneResource({ resource }: PermissionRequest): string {
  return resource === '*' ? resource : resource.replaceAll('*', 'every-one-of-them');
}

function used(role: RoleRecord, { identityAnalysis }: RequestAnalysis): string[] {
  return (identityAnalysis?.allowStatements ?? []).flatMap(({ policyId, statement, explain }) => {
    const actions = list(explain.actions).filter(({ matches }) => matches);
    const resources = list(explain.resources).filter(({ matches }) => matches);
    return actions.flatMap(({ action }) =>
      resources.map(({ resource }) =>
        permissionKey({
          role: roleLabel(role),
          policy: policyId,
          statement: statement.index(),
          action,
          resource,
        }),
      ),
    );
  });
}

function list<T>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return isList(value) ? value : [value];
}

function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value);
}

function denial(
  { result, identityAnalysis, resourceAnalysis, permissionBoundaryAnalysis }: Partial<RequestAnalysis>,
  { resourcePolicy }: PermissionRequest,
): Denial {
  if (result === 'ExplicitlyDenied') {
    if (identityAnalysis?.result === 'ExplicitlyDenied') return 'identity policy denies';
    return permissionBoundaryAnalysis?.result === 'ExplicitlyDenied'
      ? 'boundary denies'
      : 'resource policy denies';
  }
  if (identityAnalysis?.result === 'Allowed' && permissionBoundaryAnalysis?.result === 'ImplicitlyDenied')
    return 'no boundary';
  return resourcePolicy !== undefined && resourceAnalysis?.result === 'ImplicitlyDenied' && !identityAnalysis
    ? 'no resource policy'
    : 'no identity policy';
}
