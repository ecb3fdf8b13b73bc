import { randomUUID } from 'node:crypto';
import type {
  DeleteRuleRequest,
  DescribeRuleRequest,
  DescribeRuleResponse,
  ListRulesRequest,
  ListRulesResponse,
  ListTargetsByRuleRequest,
  ListTargetsByRuleResponse,
  PutEventsRequest,
  PutEventsRequestEntry,
  PutEventsResponse,
  PutEventsResultEntry,
  PutRuleRequest,
  PutRuleResponse,
  PutTargetsRequest,
  PutTargetsResponse,
  RemoveTargetsRequest,
  RemoveTargetsResponse,
} from '@aws-sdk/client-eventbridge';
import { arn } from '../core/account';
import { ApiError, NotInSandbox, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import { checkTarget, deliver } from './deliver';
import { matches, parsePattern } from './pattern';

/** An event as EventBridge hands it to its targets. */
export interface BusEvent {
  readonly version: '0';
  readonly id: string;
  readonly 'detail-type': string;
  readonly source: string;
  readonly account: string;
  readonly time: string;
  readonly region: string;
  readonly resources: readonly string[];
  readonly detail: unknown;
}

interface Rule {
  readonly name: string;
  readonly arn: string;
  pattern: string;
  description: string | undefined;
  enabled: boolean;
  roleArn: string | undefined;
  targets: RuleTarget[];
}

interface RuleTarget {
  readonly id: string;
  readonly arn: string;
  readonly roleArn: string | undefined;
  /** A fixed text instead of the event. */
  readonly input: string | undefined;
}

/** EventBridge: the default bus, its rules by pattern, and what was put onto it. Scheduled rules are not in it. */
export class EventsService implements Service {
  readonly name = 'events';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly rules = new Map<string, Rule>();
  private readonly put: BusEvent[] = [];

  constructor(private readonly context: SandboxContext) {
    this.operations = {
      PutEvents: async (input: PutEventsRequest) => this.putEvents(input),
      PutRule: async (input: PutRuleRequest) => this.putRule(input),
      DescribeRule: async (input: DescribeRuleRequest) => this.describeRule(input),
      ListRules: async (input: ListRulesRequest) => this.listRules(input),
      DeleteRule: async (input: DeleteRuleRequest) => this.deleteRule(input),
      PutTargets: async (input: PutTargetsRequest) => this.putTargets(input),
      ListTargetsByRule: async (input: ListTargetsByRuleRequest) => this.listTargets(input),
      RemoveTargets: async (input: RemoveTargetsRequest) => this.removeTargets(input),
    };
  }

  /** Everything that was put onto the bus, oldest first. */
  get events(): readonly BusEvent[] {
    return this.put;
  }

  private async putEvents(input: PutEventsRequest): Promise<PutEventsResponse> {
    const entries = await Promise.all((input.Entries ?? []).map((entry) => this.putEvent(entry)));
    return {
      Entries: entries,
      FailedEntryCount: entries.filter(({ ErrorCode }) => ErrorCode !== undefined).length,
    };
  }

  private async putEvent(entry: PutEventsRequestEntry): Promise<PutEventsResultEntry> {
    onDefaultBus(entry.EventBusName);
    let detail: unknown;
    try {
      detail = JSON.parse(entry.Detail ?? '');
    } catch {
      return { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' };
    }
    if (!entry.Source || !entry.DetailType)
      return { ErrorCode: 'InvalidArgument', ErrorMessage: 'Parameter Source or DetailType is not valid.' };
    const { accountId, region } = this.context.account;
    const event: BusEvent = {
      version: '0',
      id: randomUUID(),
      'detail-type': entry.DetailType,
      source: entry.Source,
      account: accountId,
      time: (entry.Time ?? this.context.clock.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
      region,
      resources: entry.Resources ?? [],
      detail,
    };
    this.put.push(event);
    await Promise.all([...this.rules.values()].map((rule) => this.apply(rule, event)));
    return { EventId: event.id };
  }

  private async apply(rule: Rule, event: BusEvent): Promise<void> {
    if (!rule.enabled || !matches(parsePattern(rule.pattern), event)) return;
    for (const target of rule.targets)
      try {
        await deliver(
          this.context,
          { arn: target.arn, roleArn: target.roleArn ?? rule.roleArn },
          target.input ?? JSON.stringify(event),
        );
      } catch (error) {
        // Whoever puts an event does not hear what becomes of it.
        this.context.log(`events: ${rule.name} did not reach ${target.arn}: ${String(error)}`);
      }
  }

  private putRule(input: PutRuleRequest): PutRuleResponse {
    onDefaultBus(input.EventBusName);
    if (input.ScheduleExpression !== undefined)
      throw new NotInSandbox('events:PutRule with ScheduleExpression (use EventBridge Scheduler)');
    const name = input.Name ?? '';
    const pattern = input.EventPattern ?? '';
    parsePattern(pattern);
    const known = this.rules.get(name);
    const rule: Rule = {
      name,
      arn: arn(this.context.account, 'events', `rule/${name}`),
      pattern,
      description: input.Description,
      enabled: input.State !== 'DISABLED',
      roleArn: input.RoleArn,
      targets: known?.targets ?? [],
    };
    this.rules.set(name, rule);
    return { RuleArn: rule.arn };
  }

  private describeRule(input: DescribeRuleRequest): DescribeRuleResponse {
    onDefaultBus(input.EventBusName);
    return described(this.find(input.Name));
  }

  private listRules(input: ListRulesRequest): ListRulesResponse {
    onDefaultBus(input.EventBusName);
    return {
      Rules: [...this.rules.values()]
        .filter(({ name }) => name.startsWith(input.NamePrefix ?? ''))
        .map(described),
    };
  }

  private deleteRule(input: DeleteRuleRequest): object {
    onDefaultBus(input.EventBusName);
    if ((this.rules.get(input.Name ?? '')?.targets.length ?? 0) > 0)
      throw new ApiError('ValidationException', "Rule can't be deleted since it has targets.");
    this.rules.delete(input.Name ?? '');
    return {};
  }

  private putTargets(input: PutTargetsRequest): PutTargetsResponse {
    onDefaultBus(input.EventBusName);
    const rule = this.find(input.Rule);
    const added = (input.Targets ?? []).map((target): RuleTarget => {
      const { Id: id = '', Arn: targetArn = '', RoleArn: roleArn, Input: text, ...others } = target;
      const unsupported = Object.keys(others).filter(
        (key) => key !== 'RetryPolicy' && key !== 'DeadLetterConfig',
      );
      if (unsupported.length > 0) throw new NotInSandbox(`events:PutTargets with ${unsupported.join(', ')}`);
      checkTarget(targetArn);
      return { id, arn: targetArn, roleArn, input: text };
    });
    const ids = new Set(added.map(({ id }) => id));
    rule.targets = [...rule.targets.filter(({ id }) => !ids.has(id)), ...added];
    return { FailedEntryCount: 0, FailedEntries: [] };
  }

  private listTargets(input: ListTargetsByRuleRequest): ListTargetsByRuleResponse {
    onDefaultBus(input.EventBusName);
    return {
      Targets: this.find(input.Rule).targets.map((target) => ({
        Id: target.id,
        Arn: target.arn,
        ...(target.roleArn === undefined ? {} : { RoleArn: target.roleArn }),
        ...(target.input === undefined ? {} : { Input: target.input }),
      })),
    };
  }

  private removeTargets(input: RemoveTargetsRequest): RemoveTargetsResponse {
    onDefaultBus(input.EventBusName);
    const rule = this.find(input.Rule);
    rule.targets = rule.targets.filter(({ id }) => !(input.Ids ?? []).includes(id));
    return { FailedEntryCount: 0, FailedEntries: [] };
  }

  private find(name = ''): Rule {
    const rule = this.rules.get(name);
    if (!rule)
      throw new ApiError('ResourceNotFoundException', `Rule ${name} does not exist on EventBus default.`);
    return rule;
  }
}

function described(rule: Rule): DescribeRuleResponse {
  return {
    Name: rule.name,
    Arn: rule.arn,
    EventPattern: rule.pattern,
    State: rule.enabled ? 'ENABLED' : 'DISABLED',
    EventBusName: 'default',
    ...(rule.description === undefined ? {} : { Description: rule.description }),
    ...(rule.roleArn === undefined ? {} : { RoleArn: rule.roleArn }),
  };
}

function onDefaultBus(bus: string | undefined): void {
  if (bus !== undefined && bus !== 'default' && !bus.endsWith(':event-bus/default'))
    throw new ApiError('ResourceNotFoundException', `Event bus ${bus} does not exist.`);
}
