import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { administratorOf, arn } from '../core/account';
import {
  ApiError,
  NotInSandbox,
  type Caller,
  type Operation,
  type RequestContext,
  type Service,
} from '../core/api';
import type { SandboxContext } from '../core/context';
import type { StackArtifact } from '../deploy/assembly';
import { bootstrapOf } from '../deploy/bootstrap';
import {
  deployArtifacts,
  deployedTo,
  Deployments,
  type DeployedStack,
  type DeployedStacks,
  type DeployTarget,
} from '../deploy/deploy';
import type { Json } from '../deploy/json';
import { planStack, type PlannedChange } from '../deploy/plan';
import { isRecordedOnly } from '../deploy/providers';
import type { ResourceEvent } from '../deploy/resource';
import { stackIdOf } from '../deploy/stack-template';
import { Template } from '../deploy/template';
import { describeChange, summaryOf, type ChangeSet, type ExecutionStatus } from './change-set';
import { detectDrift, type DriftDetection } from './drift';
import {
  become,
  isUnderWay,
  tellOf,
  type StackEvent,
  type StackHistory,
  type StackStatus,
} from './stack-history';

const EVENTS_OF_A_PAGE = 100;
const NO_CHANGES =
  "The submitted information didn't contain changes. Submit different information to create a change set.";

interface StackName {
  readonly StackName: string;
}

interface ChangeSetNames {
  readonly ChangeSetName: string;
  readonly StackName?: string;
}

interface NewChangeSet extends StackName {
  readonly ChangeSetName: string;
  readonly TemplateBody?: string;
  readonly TemplateURL?: string;
  readonly ChangeSetType?: string;
  readonly Description?: string;
  readonly ClientToken?: string;
  readonly Parameters?: readonly { readonly ParameterKey?: string; readonly UsePreviousValue?: boolean }[];
  readonly Capabilities?: readonly string[];
  readonly RoleARN?: string;
  readonly NotificationARNs?: readonly string[];
  readonly Tags?: readonly unknown[];
  readonly ImportExistingResources?: boolean;
  readonly DeploymentConfig?: { readonly Mode?: string; readonly DisableRollback?: boolean };
}

interface Kept {
  readonly histories: ReadonlyMap<string, StackHistory>;
  readonly changeSets: ReadonlyMap<string, ChangeSet>;
  readonly detections: ReadonlyMap<string, DriftDetection>;
}

/** A stack as the API shows it: what has been deployed, by whatever way, and what the API did with it. */
interface ShownStack {
  readonly name: string;
  readonly id: string;
  readonly status: StackStatus;
  readonly reason: string | undefined;
  readonly createdAt: Date;
  readonly updatedAt: Date | undefined;
  readonly deployed: DeployedStack | undefined;
  readonly history: StackHistory | undefined;
}

/** CloudFormation's API: stacks are looked at, and deployed by change sets. What deploys them is `sandbox/deploy`. */
export class CloudFormationService implements Service {
  readonly name = 'cloudformation';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly deployed: DeployedStacks;
  private histories = new Map<string, StackHistory>();
  private changeSets = new Map<string, ChangeSet>();
  /** The last one of each stack. */
  private detections = new Map<string, DriftDetection>();

  constructor(
    private readonly context: SandboxContext,
    private readonly target: DeployTarget,
  ) {
    this.deployed = deployedTo(target.context);
    this.operations = {
      DescribeStacks: this.describeStacks,
      ListStacks: this.listStacks,
      GetTemplate: this.getTemplate,
      DescribeStackResources: this.describeResources,
      ListStackResources: this.listResources,
      DescribeStackEvents: this.describeEvents,
      CreateChangeSet: this.createChangeSet,
      DescribeChangeSet: this.describeChangeSet,
      ListChangeSets: this.listChangeSets,
      DeleteChangeSet: this.deleteChangeSet,
      ExecuteChangeSet: this.executeChangeSet,
      UpdateTerminationProtection: this.updateTerminationProtection,
      DeleteStack: this.deleteStack,
      DetectStackDrift: this.detectDrift,
      DescribeStackDriftDetectionStatus: this.describeDriftDetection,
      DescribeStackResourceDrifts: this.describeDrifts,
      DescribeEvents: async () => ({ OperationEvents: [] }),
      ListHookResults: async () => ({ HookResults: [] }),
    };
    context.keep<Kept>('cloudformation', {
      save: () => ({ histories: this.histories, changeSets: this.changeSets, detections: this.detections }),
      load: ({ histories, changeSets, detections }) => {
        this.histories = new Map(histories);
        this.changeSets = new Map(changeSets);
        this.detections = new Map(detections);
      },
      resume: async () => {
        for (const history of this.histories.values())
          if (isUnderWay(history.status))
            this.become(
              history,
              history.status.startsWith('UPDATE') ? 'UPDATE_ROLLBACK_FAILED' : 'ROLLBACK_FAILED',
              {
                reason: 'The sandbox ended meanwhile, and can not go on with that.',
              },
            );
      },
    });
  }

  private readonly describeStacks = async ({ StackName: given }: Partial<StackName>): Promise<object> => ({
    Stacks: (given === undefined ? this.all() : [this.stack(given)]).map((stack) => this.describe(stack)),
  });

  private readonly listStacks = async ({
    StackStatusFilter: wanted = [],
  }: {
    StackStatusFilter?: readonly string[];
  }): Promise<object> => ({
    StackSummaries: this.all()
      .filter(({ status }) => wanted.length === 0 || wanted.includes(status))
      .map(({ id, name, status, reason, createdAt, updatedAt }) => ({
        StackId: id,
        StackName: name,
        CreationTime: createdAt,
        StackStatus: status,
        ...(reason !== undefined && { StackStatusReason: reason }),
        ...(updatedAt && { LastUpdatedTime: updatedAt }),
      })),
  });

  private readonly getTemplate = async (
    input: Partial<ChangeSetNames> & { TemplateStage?: string },
  ): Promise<object> => {
    const { StackName: name = '', ChangeSetName } = input;
    // There are no transforms: both stages are the same.
    const StagesAvailable = ['Original', 'Processed'];
    if (ChangeSetName !== undefined)
      return { TemplateBody: this.changeSet({ ...input, ChangeSetName }).templateText, StagesAvailable };
    return { TemplateBody: this.stack(name).deployed?.templateText ?? '{}', StagesAvailable };
  };

  private readonly describeResources = async ({
    StackName: given,
    LogicalResourceId: wanted,
    PhysicalResourceId,
  }: Partial<StackName> & { LogicalResourceId?: string; PhysicalResourceId?: string }): Promise<object> => {
    if (PhysicalResourceId !== undefined || given === undefined)
      throw new NotInSandbox('cloudformation:DescribeStackResources without StackName');
    const stack = this.stack(given);
    return {
      StackResources: resourcesOf(stack)
        .filter(({ LogicalResourceId: id }) => wanted === undefined || id === wanted)
        .map((resource) => ({
          ...resource,
          StackName: stack.name,
          StackId: stack.id,
          Timestamp: changedAt(stack),
        })),
    };
  };

  private readonly listResources = async ({ StackName: given }: StackName): Promise<object> => {
    const stack = this.stack(given);
    return {
      StackResourceSummaries: resourcesOf(stack).map((resource) => ({
        ...resource,
        LastUpdatedTimestamp: changedAt(stack),
      })),
    };
  };

  private readonly describeEvents = async ({
    StackName: given,
    NextToken: last,
  }: StackName & { NextToken?: string }): Promise<object> => {
    const stack = this.find(given);
    if (!stack) throw new ApiError('ValidationError', `Stack [${given}] does not exist`);
    const events = stack.history?.events ?? [];
    const from = last === undefined ? 0 : events.findIndex(({ id }) => id === last) + 1;
    const page = events.slice(from, from + EVENTS_OF_A_PAGE);
    const next = events.length > from + page.length ? page.at(-1)?.id : undefined;
    return {
      StackEvents: page.map((event) => describeEvent(event, stack)),
      ...(next !== undefined && { NextToken: next }),
    };
  };

  private readonly createChangeSet = async (
    input: NewChangeSet,
    { caller }: RequestContext,
  ): Promise<object> => {
    this.checkRefused(input, caller);
    const { ChangeSetName: name, ClientToken: clientToken } = input;
    const stackName = nameIn(input.StackName);
    const same = [...this.changeSets.values()].find(
      (other) => other.stackName === stackName && other.name === name,
    );
    if (same && clientToken !== undefined && same.clientToken === clientToken)
      return { Id: same.id, StackId: this.stackId(stackName) };
    if (same) throw new ApiError('AlreadyExistsException', `ChangeSet ${name} already exists`);
    const type = this.typeOf(input, stackName);
    const templateText = await this.templateOf(input, caller);
    const template = templateIn(templateText);
    checkCapabilities(template, input.Capabilities ?? []);
    const now = this.context.clock.now();
    if (type === 'CREATE' && !this.histories.has(stackName)) {
      const history: StackHistory = {
        name: stackName,
        createdAt: now,
        status: 'REVIEW_IN_PROGRESS',
        reason: undefined,
        since: now,
        terminationProtection: false,
        events: [],
      };
      this.histories.set(stackName, history);
      this.become(history, 'REVIEW_IN_PROGRESS', { reason: 'User Initiated' });
    }
    const importExistingResources = input.ImportExistingResources ?? false;
    const artifact = this.artifact(stackName, templateText, template);
    const planned = await this.plan(artifact, importExistingResources);
    const changeSet: ChangeSet = {
      id: arn(this.context.account, 'cloudformation', `changeSet/${name}/${randomUUID()}`),
      name,
      stackName,
      type,
      description: input.Description,
      clientToken,
      createdAt: now,
      templateText,
      importExistingResources,
      capabilities: input.Capabilities ?? [],
      ...planned,
    };
    this.changeSets.set(changeSet.id, changeSet);
    return { Id: changeSet.id, StackId: this.stackId(stackName) };
  };

  private readonly describeChangeSet = async (
    input: ChangeSetNames & { IncludePropertyValues?: boolean },
  ): Promise<object> => {
    const changeSet = this.changeSet(input);
    return {
      ...summaryOf(changeSet, this.stackId(changeSet.stackName)),
      Capabilities: changeSet.capabilities,
      Changes: changeSet.changes.map((change) =>
        describeChange(change, input.IncludePropertyValues ?? false),
      ),
      ImportExistingResources: changeSet.importExistingResources,
    };
  };

  private readonly listChangeSets = async ({ StackName: given }: StackName): Promise<object> => {
    const { name, id } = this.stack(given);
    const own = [...this.changeSets.values()].filter(({ stackName }) => stackName === name);
    return { Summaries: own.map((changeSet) => summaryOf(changeSet, id)) };
  };

  /** One that is not there is gone already. */
  private readonly deleteChangeSet = async (input: ChangeSetNames): Promise<object> => {
    const changeSet = this.findChangeSet(input);
    if (changeSet?.executionStatus === 'EXECUTE_IN_PROGRESS')
      throw new ApiError(
        'InvalidChangeSetStatusException',
        `An operation on ChangeSet [${changeSet.id}] is currently in progress.`,
      );
    if (changeSet) this.changeSets.delete(changeSet.id);
    return {};
  };

  private readonly executeChangeSet = async (
    input: ChangeSetNames & { ClientRequestToken?: string; DisableRollback?: boolean },
  ): Promise<object> => {
    if (input.DisableRollback === true)
      throw new NotInSandbox('cloudformation:ExecuteChangeSet with DisableRollback');
    const changeSet = this.changeSet(input);
    const { ClientRequestToken: token } = input;
    if (changeSet.executionStatus !== 'AVAILABLE')
      throw new ApiError(
        'InvalidChangeSetStatusException',
        `ChangeSet [${changeSet.id}] cannot be executed in its current execution status of [${changeSet.executionStatus}]`,
      );
    const stack = this.stack(changeSet.stackName);
    this.checkUpdatable(stack);
    const now = this.context.clock.now();
    const history = stack.history ?? {
      name: stack.name,
      createdAt: stack.createdAt,
      status: stack.status,
      reason: undefined,
      since: now,
      terminationProtection: false,
      events: [],
    };
    this.histories.set(stack.name, history);
    for (const other of this.changeSets.values())
      if (other.stackName === stack.name && other.executionStatus === 'AVAILABLE')
        this.markExecuted(other, other.id === changeSet.id ? 'EXECUTE_IN_PROGRESS' : 'OBSOLETE');
    this.become(history, `${changeSet.type}_IN_PROGRESS`, { reason: 'User Initiated', token });
    void this.execute(changeSet, history, token);
    return {};
  };

  private readonly updateTerminationProtection = async ({
    StackName: given,
    EnableTerminationProtection: terminationProtection,
  }: StackName & { EnableTerminationProtection: boolean }): Promise<object> => {
    const { id, name, history } = this.stack(given);
    if (history) history.terminationProtection = terminationProtection;
    const deployedId = this.deployed.idOf(name, this.context.account.accountId);
    if (deployedId !== undefined) this.deployed.protect(deployedId, terminationProtection);
    return { StackId: id };
  };

  /** Only a stack that has nothing goes; one that is not there is gone already. */
  private readonly deleteStack = async ({ StackName: given }: StackName): Promise<object> => {
    const stack = this.find(given);
    if (!stack) return {};
    if (this.isProtected(stack))
      throw new ApiError(
        'ValidationError',
        `Stack [${stack.name}] cannot be deleted while TerminationProtection is enabled`,
      );
    if (stack.status !== 'REVIEW_IN_PROGRESS' && stack.status !== 'ROLLBACK_COMPLETE')
      throw new NotInSandbox(`cloudformation:DeleteStack of a stack that has resources (${stack.name})`);
    this.histories.delete(stack.name);
    this.forgetChangeSets(stack.name);
    return {};
  };

  private readonly detectDrift = async ({ StackName: given }: StackName): Promise<object> => {
    const { name, deployed } = this.stack(given);
    const id = randomUUID();
    for (const [other, { stackName }] of this.detections)
      if (stackName === name) this.detections.delete(other);
    const drifts = await detectDrift(Object.values(deployed?.resources ?? {}), this.context);
    this.detections.set(id, { stackName: name, at: this.context.clock.now(), drifts });
    return { StackDriftDetectionId: id };
  };

  private readonly describeDriftDetection = async ({
    StackDriftDetectionId: id,
  }: {
    StackDriftDetectionId: string;
  }): Promise<object> => {
    const detection = this.detections.get(id);
    if (!detection)
      throw new ApiError(
        'ValidationError',
        `Drift detection ${id} does not exist, or another one has followed`,
      );
    const drifted = detection.drifts.filter(({ status }) => status !== 'IN_SYNC').length;
    return {
      StackId: this.stackId(detection.stackName),
      StackDriftDetectionId: id,
      StackDriftStatus: drifted > 0 ? 'DRIFTED' : 'IN_SYNC',
      DetectionStatus: 'DETECTION_COMPLETE',
      DriftedStackResourceCount: drifted,
      Timestamp: detection.at,
    };
  };

  private readonly describeDrifts = async ({ StackName: given }: StackName): Promise<object> => {
    const { name, id } = this.stack(given);
    const detection = [...this.detections.values()].find(({ stackName }) => stackName === name);
    return {
      StackResourceDrifts: (detection?.drifts ?? []).map((drift) => ({
        StackId: id,
        LogicalResourceId: drift.logicalId,
        PhysicalResourceId: drift.physicalId,
        ResourceType: drift.type,
        StackResourceDriftStatus: drift.status,
        Timestamp: detection?.at,
        PropertyDifferences: drift.differences.map((difference) => ({
          PropertyPath: `/${difference.name}`,
          ExpectedValue: asText(difference.expected),
          ActualValue: asText(difference.actual),
          DifferenceType: 'NOT_EQUAL',
        })),
      })),
    };
  };

  /** What the sandbox would otherwise pass over. */
  private checkRefused(input: NewChangeSet, caller: Caller): void {
    const refused = (['NotificationARNs', 'Tags'] as const).find((member) => input[member]?.length);
    // The previous value is the one of the template: no other can be given.
    if (input.Parameters?.some(({ UsePreviousValue }) => UsePreviousValue !== true))
      throw new NotInSandbox('cloudformation:CreateChangeSet with values for Parameters');
    if (refused !== undefined) throw new NotInSandbox(`cloudformation:CreateChangeSet with ${refused}`);
    const { Mode: mode = 'STANDARD', DisableRollback } = input.DeploymentConfig ?? {};
    if (mode !== 'STANDARD') throw new NotInSandbox(`cloudformation:CreateChangeSet in the mode ${mode}`);
    if (DisableRollback === true)
      throw new NotInSandbox('cloudformation:CreateChangeSet with DisableRollback');
    const { executionRoleArn } = bootstrapOf(this.context.account);
    if (input.RoleARN === undefined && caller.arn !== administratorOf(this.context.account).arn)
      throw new NotInSandbox('cloudformation:CreateChangeSet by a role and without RoleARN');
    if (input.RoleARN !== undefined && input.RoleARN !== executionRoleArn)
      throw new NotInSandbox(`cloudformation:CreateChangeSet with another RoleARN than ${executionRoleArn}`);
  }

  private typeOf(
    { ChangeSetType: type = 'UPDATE', ...input }: NewChangeSet,
    stackName: string,
  ): 'CREATE' | 'UPDATE' {
    const stack = this.find(stackName);
    if (type === 'UPDATE') {
      if (!stack || stack.status === 'REVIEW_IN_PROGRESS')
        throw new ApiError('ValidationError', `Stack [${stackName}] does not exist`);
      this.checkUpdatable(stack);
      return type;
    }
    if (type !== 'CREATE') throw new NotInSandbox(`cloudformation:CreateChangeSet of the type ${type}`);
    if (stack && stack.status !== 'REVIEW_IN_PROGRESS')
      throw new ApiError(
        'ValidationError',
        `Stack [${stackName}] already exists and cannot be created again with the changeSet [${input.ChangeSetName}].`,
      );
    return type;
  }

  private checkUpdatable({ id, status }: ShownStack): void {
    if (isUnderWay(status) || /^ROLLBACK_|_FAILED$/.test(status))
      throw new ApiError('ValidationError', `Stack:${id} is in ${status} state and can not be updated.`);
  }

  private async templateOf(
    { TemplateBody: body, TemplateURL: url }: NewChangeSet,
    caller: Caller,
  ): Promise<string> {
    if ((body === undefined) === (url === undefined))
      throw new ApiError('ValidationError', 'Either Template URL or Template Body must be specified.');
    if (url === undefined) return body ?? '';
    const { hostname, pathname } = new URL(url);
    const path = decodeURIComponent(pathname.slice(1));
    const owner = /^(.+)\.s3[.-][^/]*$/.exec(hostname)?.[1];
    const [Bucket = '', ...key] = owner === undefined ? path.split('/') : [owner, path];
    const found = await this.context.api.call('s3', 'GetObject', { Bucket, Key: key.join('/') }, caller);
    return Buffer.from(z.object({ Body: z.instanceof(Uint8Array) }).parse(found).Body).toString('utf8');
  }

  private artifact(stackName: string, templateText: string, template: Template): StackArtifact {
    const { accountId, region } = this.context.account;
    const stack = this.find(stackName);
    return {
      id: this.deployed.idOf(stackName, accountId) ?? this.deployed.newId(stackName, accountId),
      name: stackName,
      accountId,
      region,
      template,
      templateText,
      terminationProtection: stack ? this.isProtected(stack) : false,
      dependencies: [],
      assets: new Map(),
    };
  }

  private async plan(
    artifact: StackArtifact,
    importExistingResources: boolean,
  ): Promise<Pick<ChangeSet, 'changes' | 'status' | 'executionStatus' | 'statusReason'>> {
    const failed = (statusReason: string) =>
      ({ changes: [], status: 'FAILED', executionStatus: 'UNAVAILABLE', statusReason }) as const;
    let changes: readonly PlannedChange[];
    try {
      const deployment = new Deployments(this.target, importExistingResources).into(artifact.accountId);
      changes = await planStack(artifact, deployment, this.deployed);
    } catch (error) {
      return failed(error instanceof Error ? error.message : String(error));
    }
    const before = this.deployed.stacks.get(artifact.id)?.templateText;
    const sameTemplate =
      before !== undefined && isDeepStrictEqual(JSON.parse(before), JSON.parse(artifact.templateText));
    if (changes.length === 0 && sameTemplate) return failed(NO_CHANGES);
    return { changes, status: 'CREATE_COMPLETE', executionStatus: 'AVAILABLE', statusReason: undefined };
  }

  /** Deploys what a change set says. Never throws: what became of it the stack says. */
  private async execute(
    changeSet: ChangeSet,
    history: StackHistory,
    token: string | undefined,
  ): Promise<void> {
    const { stackName, templateText, type } = changeSet;
    const touched: ResourceEvent[] = [];
    try {
      const artifact = this.artifact(stackName, templateText, templateIn(templateText));
      await deployArtifacts([artifact], this.target, changeSet.importExistingResources, (event) => {
        touched.push(event);
        tellOf(history, event, this.context.clock.now(), token);
      });
      this.forgetChangeSets(stackName);
      this.become(history, `${type}_COMPLETE`, { token });
    } catch (error) {
      this.markExecuted(changeSet, 'EXECUTE_FAILED');
      const prefix = type === 'UPDATE' ? 'UPDATE_ROLLBACK' : 'ROLLBACK';
      const failed = touched
        .filter(({ status }) => status.endsWith('_FAILED'))
        .map(({ logicalId }) => logicalId);
      const reason =
        failed.length > 0
          ? `The following resource(s) failed to ${type.toLowerCase()}: [${failed.join(', ')}].`
          : error instanceof Error
            ? error.message
            : String(error);
      this.become(history, `${prefix}_IN_PROGRESS`, { reason, token });
      const left = touched.filter(leavesSomething).map(({ logicalId }) => logicalId);
      if (left.length === 0) this.become(history, `${prefix}_COMPLETE`, { token });
      else
        this.become(history, `${prefix}_FAILED`, {
          reason:
            `${reason} The sandbox undoes nothing: ${left.join(', ')} may have been made or changed, and the stack does not know. ` +
            'HINT: begin anew with a new sandbox.',
          token,
        });
    }
  }

  private forgetChangeSets(of: string): void {
    for (const { id, stackName } of this.changeSets.values())
      if (stackName === of) this.changeSets.delete(id);
  }

  private markExecuted(changeSet: ChangeSet, executionStatus: ExecutionStatus): void {
    this.changeSets.set(changeSet.id, { ...changeSet, executionStatus });
  }

  private become(
    history: StackHistory,
    status: StackStatus,
    why: { readonly reason?: string; readonly token?: string | undefined } = {},
  ): void {
    become(history, this.stackId(history.name), status, this.context.clock.now(), why);
  }

  private stackId(name: string): string {
    return stackIdOf(this.context.account, name);
  }

  private all(): ShownStack[] {
    const { accountId } = this.context.account;
    const deployed = [...this.deployed.stacks.values()].filter((stack) => stack.accountId === accountId);
    const names = new Set([...deployed.map(({ name }) => name), ...this.histories.keys()]);
    return [...names].flatMap((name) => this.find(name) ?? []);
  }

  /** By its name or ARN. */
  private find(given: string): ShownStack | undefined {
    const name = nameIn(given);
    const history = this.histories.get(name);
    const deployedId = this.deployed.idOf(name, this.context.account.accountId);
    const deployed = deployedId === undefined ? undefined : this.deployed.stacks.get(deployedId);
    if (!history && !deployed) return undefined;
    const id = this.stackId(name);
    const own = { name, id, deployed, history };
    // The stack may have been deployed by another way since.
    if (history && (!deployed || history.since >= (deployed.updatedAt ?? deployed.createdAt)))
      return {
        ...own,
        status: history.status,
        reason: history.reason,
        createdAt: deployed?.createdAt ?? history.createdAt,
        updatedAt: deployed?.updatedAt,
      };
    if (!deployed) return undefined;
    const { createdAt, updatedAt } = deployed;
    return {
      ...own,
      status: updatedAt ? 'UPDATE_COMPLETE' : 'CREATE_COMPLETE',
      reason: undefined,
      createdAt,
      updatedAt,
    };
  }

  /** @throws ApiError when there is none */
  private stack(given: string): ShownStack {
    const stack = this.find(given);
    if (!stack) throw new ApiError('ValidationError', `Stack with id ${given} does not exist`);
    return stack;
  }

  private isProtected({ deployed, history }: ShownStack): boolean {
    return deployed?.terminationProtection ?? history?.terminationProtection ?? false;
  }

  private findChangeSet({ ChangeSetName: given, StackName }: ChangeSetNames): ChangeSet | undefined {
    const byId = this.changeSets.get(given);
    if (byId || given.startsWith('arn:')) return byId;
    if (StackName === undefined)
      throw new ApiError(
        'ValidationError',
        'StackName must be specified if ChangeSetName is not specified as an ARN.',
      );
    const stackName = nameIn(StackName);
    return [...this.changeSets.values()].find(
      (other) => other.stackName === stackName && other.name === given,
    );
  }

  private changeSet(names: ChangeSetNames): ChangeSet {
    const changeSet = this.findChangeSet(names);
    if (!changeSet)
      throw new ApiError('ChangeSetNotFoundException', `ChangeSet [${names.ChangeSetName}] does not exist`);
    return changeSet;
  }

  private describe(stack: ShownStack): object {
    const { name, id, status, reason, createdAt, updatedAt, deployed } = stack;
    const template = deployed && templateIn(deployed.templateText);
    const exported = new Map(
      Object.entries(deployed?.exports ?? {}).map(([key, value]) => [JSON.stringify(value), key]),
    );
    return {
      StackId: id,
      StackName: name,
      CreationTime: createdAt,
      StackStatus: status,
      DisableRollback: false,
      NotificationARNs: [],
      Tags: [],
      EnableTerminationProtection: this.isProtected(stack),
      ...(updatedAt && { LastUpdatedTime: updatedAt }),
      ...(reason !== undefined && { StackStatusReason: reason }),
      ...(template?.Description !== undefined && { Description: template.Description }),
      Parameters: Object.entries(template?.Parameters ?? {}).map(([key, { Type, Default }]) => ({
        ParameterKey: key,
        ParameterValue: asText(Default ?? ''),
        ...(Type.startsWith('AWS::SSM::') && { ResolvedValue: bootstrapOf(this.context.account).version }),
      })),
      Outputs: Object.entries(deployed?.outputs ?? {}).map(([key, value]) => {
        const exportName = exported.get(JSON.stringify(value));
        return {
          OutputKey: key,
          OutputValue: asText(value),
          ...(template?.Outputs[key]?.Export && exportName !== undefined && { ExportName: exportName }),
        };
      }),
    };
  }
}

/** `Production-Database`, also of `arn:aws:cloudformation:eu-central-1:123456789012:stack/Production-Database/…`. */
function nameIn(given: string): string {
  return /^arn:[^:]+:cloudformation:[^:]*:\d+:stack\/([^/]+)/.exec(given)?.[1] ?? given;
}

/** @throws ApiError for a template that the sandbox can not read */
function templateIn(text: string): Template {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new ApiError('ValidationError', 'Template format error: the sandbox reads templates in JSON only.');
  }
  const template = Template.safeParse(parsed);
  if (!template.success)
    throw new ApiError('ValidationError', `Template format error: ${z.prettifyError(template.error)}`);
  return template.data;
}

function checkCapabilities(template: Template, given: readonly string[]): void {
  const named = Object.values(template.Resources).some(
    ({ Type, Properties }) =>
      Type.startsWith('AWS::IAM::') &&
      /^(Role|ManagedPolicy|User|Group)Name$/m.test(Object.keys(Properties).join('\n')),
  );
  const isAboutIam = Object.values(template.Resources).some(({ Type }) => Type.startsWith('AWS::IAM::'));
  const needed = named ? 'CAPABILITY_NAMED_IAM' : 'CAPABILITY_IAM';
  if (isAboutIam && !given.includes(needed) && !given.includes('CAPABILITY_NAMED_IAM'))
    throw new ApiError('InsufficientCapabilitiesException', `Requires capabilities : [${needed}]`);
}

function resourcesOf({ deployed }: ShownStack): readonly {
  readonly LogicalResourceId: string;
  readonly PhysicalResourceId: string;
  readonly ResourceType: string;
  readonly ResourceStatus: string;
}[] {
  return Object.values(deployed?.resources ?? {}).map(({ logicalId, physicalId, type }) => ({
    LogicalResourceId: logicalId,
    PhysicalResourceId: physicalId,
    ResourceType: type,
    ResourceStatus: 'CREATE_COMPLETE',
  }));
}

function changedAt({ createdAt, updatedAt }: ShownStack): Date {
  return updatedAt ?? createdAt;
}

function describeEvent(event: StackEvent, { name, id }: ShownStack): object {
  const { physicalId, reason, token } = event;
  return {
    StackId: id,
    StackName: name,
    EventId: event.id,
    LogicalResourceId: event.logicalId,
    ResourceType: event.type,
    ResourceStatus: event.status,
    Timestamp: event.at,
    ...(physicalId !== undefined && { PhysicalResourceId: physicalId }),
    ...(reason !== undefined && { ResourceStatusReason: reason }),
    ...(token !== undefined && { ClientRequestToken: token }),
  };
}

/** Whether something is there that was not there before. */
function leavesSomething({ status, type, made = false }: ResourceEvent): boolean {
  if (status.endsWith('_FAILED')) return made;
  return (status === 'CREATE_COMPLETE' && !isRecordedOnly(type)) || status === 'UPDATE_COMPLETE';
}

function asText(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
