import { randomUUID } from 'node:crypto';
import type {
  DeleteRuleRequest,
  DescribeEventBusRequest,
  DescribeEventBusResponse,
  DescribeRuleRequest,
  DescribeRuleResponse,
  DisableRuleRequest,
  EnableRuleRequest,
  ListRuleNamesByTargetRequest,
  ListRuleNamesByTargetResponse,
  ListRulesRequest,
  ListRulesResponse,
  ListTagsForResourceRequest,
  ListTagsForResourceResponse,
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
  TagResourceRequest,
  Target,
  TestEventPatternRequest,
  TestEventPatternResponse,
  UntagResourceRequest,
} from '@aws-sdk/client-eventbridge';
import { arn } from '../core/account';
import { ApiError, NotInSandbox, type Caller, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import { tagsOf } from '../core/tags';
import { Deliveries, type DeliveryOutcome } from './deliveries';
import { RULE_ERRORS } from './errors';
import { inputFor } from './input';
import { matches, parsePattern } from './pattern';
import {
  checkRuleTarget,
  checkTrigger,
  described,
  inputSettings,
  retryPolicyOf,
  runsOf,
  type Rule,
} from './rule';

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

interface State {
  readonly rules: Map<string, Rule>;
  readonly events: BusEvent[];
}

/** Events that are kept for inspection, and limits of EventBridge. */
const KEPT_EVENTS = 1000;
const MAX_ENTRIES = 10;
const MAX_BYTES = 1024 * 1024;
const MAX_TARGETS = 5;

/** EventBridge: the default bus and its rules, by pattern and by schedule. */
export class EventsService implements Service {
  readonly name = 'events';
  readonly operations: Readonly<Record<string, Operation>>;
  private state: State = { rules: new Map(), events: [] };
  private readonly timers = new Map<string, () => void>();
  private readonly deliveries: Deliveries;

  constructor(private readonly context: SandboxContext) {
    this.deliveries = new Deliveries(context, 'events', RULE_ERRORS);
    this.operations = {
      PutEvents: async (input: PutEventsRequest, { caller }) => this.putEvents(input, caller),
      PutRule: async (input: PutRuleRequest) => this.putRule(input),
      DescribeRule: async (input: DescribeRuleRequest) => this.describeRule(input),
      ListRules: async (input: ListRulesRequest) => this.listRules(input),
      EnableRule: async (input: EnableRuleRequest) => this.setEnabled(input, true),
      DisableRule: async (input: DisableRuleRequest) => this.setEnabled(input, false),
      DeleteRule: async (input: DeleteRuleRequest) => this.deleteRule(input),
      PutTargets: async (input: PutTargetsRequest) => this.putTargets(input),
      ListTargetsByRule: async (input: ListTargetsByRuleRequest) => this.listTargets(input),
      ListRuleNamesByTarget: async (input: ListRuleNamesByTargetRequest) => this.rulesOfTarget(input),
      RemoveTargets: async (input: RemoveTargetsRequest) => this.removeTargets(input),
      TestEventPattern: async (input: TestEventPatternRequest) => testPattern(input),
      DescribeEventBus: async (input: DescribeEventBusRequest) => this.describeBus(input),
      TagResource: async (input: TagResourceRequest) => this.tag(input),
      UntagResource: async (input: UntagResourceRequest) => this.untag(input),
      ListTagsForResource: async (input: ListTagsForResourceRequest) => this.listTags(input),
    };
    context.keep('events', {
      save: () => this.state,
      load: (state: State) => {
        this.state = state;
      },
      resume: async () => {
        for (const rule of this.state.rules.values()) this.arm(rule, context.clock.now());
      },
    });
  }

  /** What was put onto the bus, oldest first; of many the last. */
  get events(): readonly BusEvent[] {
    return this.state.events;
  }

  /** Calls `listener` with a rule's name and what became of a delivery. Returns a function that ends it. */
  onDelivery(listener: (rule: string, outcome: DeliveryOutcome) => void): () => void {
    return this.deliveries.onOutcome(listener);
  }

  async stop(): Promise<void> {
    for (const name of [...this.timers.keys()]) this.disarm(name);
  }

  private async putEvents(input: PutEventsRequest, caller: Caller): Promise<PutEventsResponse> {
    const given = input.Entries ?? [];
    if (given.length < 1 || given.length > MAX_ENTRIES)
      throw new ApiError(
        'ValidationException',
        `1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length ` +
          (given.length < 1 ? 'greater than or equal to 1' : `less than or equal to ${MAX_ENTRIES}`),
      );
    if (given.reduce((bytes, entry) => bytes + sizeOf(entry), 0) > MAX_BYTES)
      throw new ApiError(
        'ValidationException',
        'Total size of the entries in the request is over the limit.',
      );
    const entries: PutEventsResultEntry[] = [];
    for (const entry of given) entries.push(await this.putEvent(entry, caller));
    return {
      Entries: entries,
      FailedEntryCount: entries.filter(({ ErrorCode }) => ErrorCode !== undefined).length,
    };
  }

  private async putEvent(entry: PutEventsRequestEntry, caller: Caller): Promise<PutEventsResultEntry> {
    onDefaultBus(entry.EventBusName);
    const { Source: source, DetailType: type, Detail: text } = entry;
    for (const [name, value] of Object.entries({ Source: source, DetailType: type, Detail: text }))
      if (!value)
        return {
          ErrorCode: 'InvalidArgument',
          ErrorMessage: `Parameter ${name} is not valid. Reason: ${name} is a required argument.`,
        };
    const detail = objectIn(text ?? '');
    if (!detail) return { ErrorCode: 'MalformedDetail', ErrorMessage: 'Detail is malformed.' };
    // Only AWS's own services speak in their name.
    if (source?.startsWith('aws.') && !caller.arn.endsWith('.amazonaws.com'))
      return { ErrorCode: 'NotAuthorizedForSourceException', ErrorMessage: 'Not authorized for the source.' };
    const event = this.event(source ?? '', type ?? '', detail, entry.Resources ?? [], entry.Time);
    this.state.events.push(event);
    if (this.state.events.length > KEPT_EVENTS) this.state.events.shift();
    for (const rule of this.state.rules.values())
      if (rule.enabled && rule.pattern !== undefined && matches(parsePattern(rule.pattern), event))
        await this.send(rule, event);
    return { EventId: event.id };
  }

  private event(
    source: string,
    type: string,
    detail: unknown,
    resources: readonly string[],
    time = this.context.clock.now(),
  ): BusEvent {
    const { accountId, region } = this.context.account;
    return {
      version: '0',
      id: randomUUID(),
      'detail-type': type,
      source,
      account: accountId,
      time: time.toISOString().replace(/\.\d+Z$/, 'Z'),
      region,
      resources,
      detail,
    };
  }

  private async send(rule: Rule, event: BusEvent): Promise<void> {
    const service = { service: 'events.amazonaws.com', sourceArn: rule.arn };
    const self: Caller = { arn: service.service, via: service };
    const surroundings = { ruleArn: rule.arn, ruleName: rule.name, ingestedAt: this.context.clock.now() };
    for (const target of rule.targets)
      await this.deliveries.send({
        source: rule.name,
        targetArn: target.Arn ?? '',
        caller: target.RoleArn === undefined ? self : { arn: target.RoleArn, via: service },
        payload: inputFor(event, inputSettings(target), surroundings),
        retry: retryPolicyOf(target),
        deadLetter:
          target.DeadLetterConfig?.Arn === undefined
            ? undefined
            : {
                queueArn: target.DeadLetterConfig.Arn,
                caller: self,
                body: JSON.stringify(event),
                attributes: { RULE_ARN: rule.arn },
              },
      });
  }

  private arm(rule: Rule, after: Date): void {
    if (!rule.enabled || rule.schedule === undefined) return;
    const at = runsOf(rule.schedule, rule.since)(after);
    if (!at) return;
    const cancel = this.context.clock.schedule(
      at,
      async () => {
        this.arm(rule, at);
        await this.send(rule, this.event('aws.events', 'Scheduled Event', {}, [rule.arn], at));
      },
      { background: true },
    );
    this.timers.set(rule.name, cancel);
  }

  private disarm(name: string): void {
    this.timers.get(name)?.();
    this.timers.delete(name);
  }

  private putRule(input: PutRuleRequest): PutRuleResponse {
    onDefaultBus(input.EventBusName);
    if (input.State !== undefined && !['ENABLED', 'DISABLED'].includes(input.State))
      throw new NotInSandbox(`events:PutRule with State ${input.State}`);
    const { Name: name = '', EventPattern: pattern, ScheduleExpression: schedule } = input;
    if (!/^[.\-_A-Za-z0-9]{1,64}$/.test(name))
      throw new ApiError('ValidationException', `Parameter Name is not valid: ${name}`);
    const now = this.context.clock.now();
    checkTrigger(pattern, schedule, now);
    const known = this.state.rules.get(name);
    const rule: Rule = {
      name,
      arn: arn(this.context.account, 'events', `rule/${name}`),
      pattern,
      schedule,
      description: input.Description,
      enabled: input.State !== 'DISABLED',
      roleArn: input.RoleArn,
      since: known && known.schedule === schedule ? known.since : now,
      targets: known?.targets ?? [],
      tags: known?.tags ?? tagsOf(input.Tags),
    };
    this.state.rules.set(name, rule);
    this.disarm(name);
    this.arm(rule, now);
    return { RuleArn: rule.arn };
  }

  private describeRule(input: DescribeRuleRequest): DescribeRuleResponse {
    return described(this.find(input.Name, input.EventBusName));
  }

  private listRules(input: ListRulesRequest): ListRulesResponse {
    onDefaultBus(input.EventBusName);
    return {
      Rules: [...this.state.rules.values()]
        .filter(({ name }) => name.startsWith(input.NamePrefix ?? ''))
        .map(described),
    };
  }

  private setEnabled(input: EnableRuleRequest, enabled: boolean): object {
    const rule = this.find(input.Name, input.EventBusName);
    rule.enabled = enabled;
    this.disarm(rule.name);
    this.arm(rule, this.context.clock.now());
    return {};
  }

  private deleteRule(input: DeleteRuleRequest): object {
    onDefaultBus(input.EventBusName);
    const name = input.Name ?? '';
    if ((this.state.rules.get(name)?.targets.length ?? 0) > 0)
      throw new ApiError('ValidationException', "Rule can't be deleted since it has targets.");
    this.disarm(name);
    this.state.rules.delete(name);
    return {};
  }

  private putTargets(input: PutTargetsRequest): PutTargetsResponse {
    const rule = this.find(input.Rule, input.EventBusName);
    const added: readonly Target[] = input.Targets ?? [];
    added.forEach(checkRuleTarget);
    const ids = new Set(added.map(({ Id }) => Id));
    const targets = [...rule.targets.filter(({ Id }) => !ids.has(Id)), ...added];
    if (targets.length > MAX_TARGETS)
      throw new ApiError(
        'LimitExceededException',
        'The requested resource exceeds the maximum number allowed.',
      );
    rule.targets = targets;
    return { FailedEntryCount: 0, FailedEntries: [] };
  }

  private listTargets(input: ListTargetsByRuleRequest): ListTargetsByRuleResponse {
    return { Targets: this.find(input.Rule, input.EventBusName).targets };
  }

  private rulesOfTarget(input: ListRuleNamesByTargetRequest): ListRuleNamesByTargetResponse {
    onDefaultBus(input.EventBusName);
    return {
      RuleNames: [...this.state.rules.values()]
        .filter(({ targets }) => targets.some(({ Arn }) => Arn === input.TargetArn))
        .map(({ name }) => name),
    };
  }

  private removeTargets(input: RemoveTargetsRequest): RemoveTargetsResponse {
    const rule = this.find(input.Rule, input.EventBusName);
    rule.targets = rule.targets.filter(({ Id }) => !input.Ids?.includes(Id ?? ''));
    return { FailedEntryCount: 0, FailedEntries: [] };
  }

  private describeBus(input: DescribeEventBusRequest): DescribeEventBusResponse {
    onDefaultBus(input.Name);
    return { Name: 'default', Arn: arn(this.context.account, 'events', 'event-bus/default') };
  }

  private tag(input: TagResourceRequest): object {
    Object.assign(this.tagged(input.ResourceARN).tags, tagsOf(input.Tags));
    return {};
  }

  private untag(input: UntagResourceRequest): object {
    const rule = this.tagged(input.ResourceARN);
    rule.tags = Object.fromEntries(
      Object.entries(rule.tags).filter(([key]) => !input.TagKeys?.includes(key)),
    );
    return {};
  }

  private listTags(input: ListTagsForResourceRequest): ListTagsForResourceResponse {
    const { tags } = this.tagged(input.ResourceARN);
    return { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) };
  }

  private tagged(resourceArn = ''): Rule {
    return this.find(resourceArn.split(':rule/')[1]);
  }

  private find(name = '', bus?: string): Rule {
    onDefaultBus(bus);
    const rule = this.state.rules.get(name);
    if (!rule)
      throw new ApiError('ResourceNotFoundException', `Rule ${name} does not exist on EventBus default.`);
    return rule;
  }
}

function testPattern(input: TestEventPatternRequest): TestEventPatternResponse {
  const pattern = parsePattern(input.EventPattern ?? '');
  const event = objectIn(input.Event ?? '');
  if (!event) throw new ApiError('ValidationException', 'Parameter Event is not valid.');
  return { Result: matches(pattern, event) };
}

/** As EventBridge counts: 14 bytes for a time, and the UTF-8 of everything else. */
function sizeOf({ Time, Source, DetailType, Detail, Resources }: PutEventsRequestEntry): number {
  const texts = [Source, DetailType, Detail, ...(Resources ?? [])];
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text ?? ''), Time ? 14 : 0);
}

function objectIn(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function onDefaultBus(bus: string | undefined): void {
  if (bus !== undefined && bus !== 'default' && !bus.endsWith(':event-bus/default'))
    throw new ApiError('ResourceNotFoundException', `Event bus ${bus} does not exist.`);
}
