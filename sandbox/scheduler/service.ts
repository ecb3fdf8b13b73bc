import { createHash, randomUUID } from 'node:crypto';
import type {
  CreateScheduleInput,
  CreateScheduleOutput,
  DeleteScheduleInput,
  GetScheduleGroupInput,
  GetScheduleGroupOutput,
  GetScheduleInput,
  GetScheduleOutput,
  ListScheduleGroupsInput,
  ListScheduleGroupsOutput,
  ListSchedulesInput,
  ListSchedulesOutput,
  ScheduleSummary,
  UpdateScheduleInput,
  UpdateScheduleOutput,
} from '@aws-sdk/client-scheduler';
import { arn } from '../core/account';
import { ApiError, type ApiError as Failure, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import { Deliveries, DEFAULT_RETRY_POLICY, type DeliveryOutcome } from '../events/deliveries';
import { checkDefinition, zoneOf, type Definition } from './definition';
import { parseExpression, type NextRun } from './expression';

/** A schedule of the default group. Plain data. */
interface Schedule {
  readonly arn: string;
  readonly name: string;
  readonly createdAt: Date;
  /** Of the call that made it: the same call again makes nothing. */
  readonly token: string | undefined;
  changedAt: Date;
  definition: Definition;
}

const GROUP = 'default';

/** Unlike rules, schedules try everything again: AWS's own example of a dead letter is a queue that is not there. */
const SCHEDULE_ERRORS = { retryable: () => true, code: ({ code }: Failure) => code };

/** EventBridge Scheduler: the default group. */
export class SchedulerService implements Service {
  readonly name = 'scheduler';
  readonly operations: Readonly<Record<string, Operation>>;
  private schedules = new Map<string, Schedule>();
  private readonly timers = new Map<string, () => void>();
  private readonly deliveries: Deliveries;
  private readonly startedAt: Date;

  constructor(private readonly context: SandboxContext) {
    this.startedAt = context.clock.now();
    this.deliveries = new Deliveries(context, 'scheduler', SCHEDULE_ERRORS);
    this.operations = {
      CreateSchedule: async (input: CreateScheduleInput) => this.create(input),
      GetSchedule: async (input: GetScheduleInput) => this.get(input),
      UpdateSchedule: async (input: UpdateScheduleInput) => this.update(input),
      ListSchedules: async (input: ListSchedulesInput) => this.list(input),
      DeleteSchedule: async (input: DeleteScheduleInput) => this.delete(input),
      GetScheduleGroup: async (input: GetScheduleGroupInput) => this.group(input),
      ListScheduleGroups: async (input: ListScheduleGroupsInput) => this.groups(input),
    };
    context.keep('scheduler', {
      save: () => this.schedules,
      load: (schedules: Map<string, Schedule>) => {
        this.schedules = schedules;
      },
      // What was due while nothing ran is not made up for.
      resume: async () => {
        for (const schedule of [...this.schedules.values()]) this.arm(schedule, context.clock.now());
      },
    });
  }

  /** Calls `listener` with what became of a delivery. Returns a function that ends it. */
  onDelivery(listener: (group: string, outcome: DeliveryOutcome) => void): () => void {
    return this.deliveries.onOutcome(listener);
  }

  async stop(): Promise<void> {
    for (const name of [...this.timers.keys()]) this.disarm(name);
  }

  private create({ ClientToken: token, ...definition }: CreateScheduleInput): CreateScheduleOutput {
    inDefaultGroup(definition.GroupName);
    const name = definition.Name ?? '';
    const known = this.schedules.get(name);
    if (known && token !== undefined && known.token === token) return { ScheduleArn: known.arn };
    if (known) throw new ApiError('ConflictException', `Schedule ${name} already exists.`, 409);
    const now = this.context.clock.now();
    checkDefinition(definition, now);
    const schedule: Schedule = {
      arn: arn(this.context.account, 'scheduler', `schedule/${GROUP}/${name}`),
      name,
      createdAt: now,
      token,
      changedAt: now,
      definition,
    };
    this.schedules.set(name, schedule);
    this.arm(schedule, now);
    return { ScheduleArn: schedule.arn };
  }

  /** Replaces the whole definition: what the call leaves out gets its default. */
  private update({ ClientToken: _token, ...definition }: UpdateScheduleInput): UpdateScheduleOutput {
    const schedule = this.find(definition.Name, definition.GroupName);
    const now = this.context.clock.now();
    checkDefinition(definition, now);
    schedule.definition = definition;
    schedule.changedAt = now;
    this.disarm(schedule.name);
    this.arm(schedule, now);
    return { ScheduleArn: schedule.arn };
  }

  private get(input: GetScheduleInput): GetScheduleOutput {
    const schedule = this.find(input.Name, input.GroupName);
    const { definition } = schedule;
    return {
      ...definition,
      Arn: schedule.arn,
      GroupName: GROUP,
      State: definition.State ?? 'ENABLED',
      ScheduleExpressionTimezone: zoneOf(definition),
      ActionAfterCompletion: definition.ActionAfterCompletion ?? 'NONE',
      CreationDate: schedule.createdAt,
      LastModificationDate: schedule.changedAt,
      Target: definition.Target && {
        ...definition.Target,
        RetryPolicy: {
          MaximumEventAgeInSeconds: DEFAULT_RETRY_POLICY.maximumEventAgeSeconds,
          MaximumRetryAttempts: DEFAULT_RETRY_POLICY.maximumRetryAttempts,
          ...definition.Target.RetryPolicy,
        },
      },
    };
  }

  private list(input: ListSchedulesInput): ListSchedulesOutput {
    inDefaultGroup(input.GroupName);
    const matching = [...this.schedules.values()]
      .filter(({ name }) => name.startsWith(input.NamePrefix ?? '') && name > (input.NextToken ?? ''))
      .filter(
        ({ definition }) => input.State === undefined || (definition.State ?? 'ENABLED') === input.State,
      )
      .sort((left, right) => (left.name < right.name ? -1 : 1));
    const page = matching.slice(0, input.MaxResults ?? 100);
    const last = page.at(-1);
    return {
      Schedules: page.map((schedule): ScheduleSummary => ({
        Arn: schedule.arn,
        Name: schedule.name,
        GroupName: GROUP,
        State: schedule.definition.State ?? 'ENABLED',
        CreationDate: schedule.createdAt,
        LastModificationDate: schedule.changedAt,
        Target: { Arn: schedule.definition.Target?.Arn },
      })),
      ...(last && matching.length > page.length && { NextToken: last.name }),
    };
  }

  private delete(input: DeleteScheduleInput): object {
    const { name } = this.find(input.Name, input.GroupName);
    this.disarm(name);
    this.schedules.delete(name);
    return {};
  }

  private group({ Name }: GetScheduleGroupInput): GetScheduleGroupOutput {
    inDefaultGroup(Name);
    return {
      Arn: this.groupArn(),
      Name: GROUP,
      State: 'ACTIVE',
      CreationDate: this.startedAt,
      LastModificationDate: this.startedAt,
    };
  }

  private groups({ NamePrefix = '' }: ListScheduleGroupsInput): ListScheduleGroupsOutput {
    return { ScheduleGroups: GROUP.startsWith(NamePrefix) ? [this.group({ Name: GROUP })] : [] };
  }

  private arm(schedule: Schedule, after: Date): void {
    const { definition } = schedule;
    const { StartDate: start, EndDate: end, State: state } = definition;
    if (state === 'DISABLED') return;
    const at = runsOf(schedule)(start && start > after ? new Date(start.getTime() - 1) : after);
    if (!at || (end && at > end)) {
      if (definition.ActionAfterCompletion === 'DELETE') this.schedules.delete(schedule.name);
      return;
    }
    const cancel = this.context.clock.schedule(
      new Date(at.getTime() + delayWithin(schedule, at)),
      async () => {
        this.timers.delete(schedule.name);
        this.arm(schedule, at);
        await this.run(schedule, at);
      },
      { background: true },
    );
    this.timers.set(schedule.name, cancel);
  }

  private disarm(name: string): void {
    this.timers.get(name)?.();
    this.timers.delete(name);
  }

  private async run({ arn: scheduleArn, definition }: Schedule, at: Date): Promise<void> {
    const { Target: target } = definition;
    const time = at.toISOString().replace(/\.\d+Z$/, 'Z');
    const executionId = randomUUID();
    const payload = (target?.Input ?? JSON.stringify(this.scheduledEvent(scheduleArn, time)))
      .replaceAll('<aws.scheduler.schedule-arn>', scheduleArn)
      .replaceAll('<aws.scheduler.scheduled-time>', time)
      .replaceAll('<aws.scheduler.execution-id>', executionId)
      .replaceAll('<aws.scheduler.attempt-number>', '1');
    const caller = {
      arn: target?.RoleArn ?? '',
      via: { service: 'scheduler.amazonaws.com', sourceArn: this.groupArn() },
    };
    const { MaximumRetryAttempts, MaximumEventAgeInSeconds } = target?.RetryPolicy ?? {};
    await this.deliveries.send({
      source: GROUP,
      targetArn: target?.Arn ?? '',
      caller,
      payload,
      retry: {
        maximumRetryAttempts: MaximumRetryAttempts ?? DEFAULT_RETRY_POLICY.maximumRetryAttempts,
        maximumEventAgeSeconds: MaximumEventAgeInSeconds ?? DEFAULT_RETRY_POLICY.maximumEventAgeSeconds,
      },
      deadLetter:
        target?.DeadLetterConfig?.Arn === undefined
          ? undefined
          : {
              queueArn: target.DeadLetterConfig.Arn,
              caller,
              body: payload,
              attributes: {
                SCHEDULE_ARN: scheduleArn,
                SCHEDULED_TIME: time,
                EXECUTION_ID: executionId,
                IS_PAYLOAD_TRUNCATED: 'false',
              },
            },
    });
  }

  /** What a target gets that has no input of its own. */
  private scheduledEvent(scheduleArn: string, time: string): object {
    return {
      version: '0',
      id: randomUUID(),
      'detail-type': 'Scheduled Event',
      source: 'aws.scheduler',
      account: this.context.account.accountId,
      time,
      region: this.context.account.region,
      resources: [scheduleArn],
      detail: '{}',
    };
  }

  private find(name = '', group?: string): Schedule {
    inDefaultGroup(group);
    const schedule = this.schedules.get(name);
    if (!schedule) throw new ApiError('ResourceNotFoundException', `Schedule ${name} does not exist.`, 404);
    return schedule;
  }

  private groupArn(): string {
    return arn(this.context.account, 'scheduler', `schedule-group/${GROUP}`);
  }
}

/** A rate counts from the start date or, without one, from when it was given. */
function runsOf({ definition, changedAt }: Schedule): NextRun {
  const { ScheduleExpression: expression = '', StartDate: start = changedAt } = definition;
  return parseExpression(expression, zoneOf(definition), start);
}

/** How late within its flexible window a run comes, in milliseconds: not at random, so that a run can be repeated. */
function delayWithin(
  { arn: scheduleArn, definition: { FlexibleTimeWindow: window } }: Schedule,
  at: Date,
): number {
  if (window?.Mode !== 'FLEXIBLE') return 0;
  const digest = createHash('sha256').update(`${scheduleArn} ${at.toISOString()}`).digest();
  return Math.floor((digest.readUInt32BE() / 2 ** 32) * (window.MaximumWindowInMinutes ?? 0) * 60_000);
}

function inDefaultGroup(group: string | undefined): void {
  if (group !== undefined && group !== GROUP)
    throw new ApiError('ResourceNotFoundException', `Schedule group ${group} does not exist.`, 404);
}
