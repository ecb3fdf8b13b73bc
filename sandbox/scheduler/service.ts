import { randomUUID } from 'node:crypto';
import type {
  CreateScheduleInput,
  CreateScheduleOutput,
  DeleteScheduleInput,
  GetScheduleInput,
  GetScheduleOutput,
  ListSchedulesInput,
  ListSchedulesOutput,
  ScheduleSummary,
  UpdateScheduleInput,
  UpdateScheduleOutput,
} from '@aws-sdk/client-scheduler';
import { arn } from '../core/account';
import { ApiError, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import { checkTarget, deliver } from '../events/deliver';
import { parseExpression, type NextRun } from './expression';

type Definition = Omit<CreateScheduleInput, 'ClientToken'>;

interface Schedule {
  readonly arn: string;
  readonly name: string;
  readonly createdAt: Date;
  changedAt: Date;
  definition: Definition;
}

/** EventBridge Scheduler: the default group. Runs come on time whatever the flexible window; nothing is retried. */
export class SchedulerService implements Service {
  readonly name = 'scheduler';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly schedules = new Map<string, Schedule>();
  private readonly timers = new Map<string, () => void>();

  constructor(private readonly context: SandboxContext) {
    this.operations = {
      CreateSchedule: async (input: CreateScheduleInput) => this.create(input),
      GetSchedule: async (input: GetScheduleInput) => this.get(input),
      UpdateSchedule: async (input: UpdateScheduleInput) => this.update(input),
      ListSchedules: async (input: ListSchedulesInput) => this.list(input),
      DeleteSchedule: async (input: DeleteScheduleInput) => this.delete(input),
    };
  }

  async stop(): Promise<void> {
    for (const name of [...this.timers.keys()]) this.disarm(name);
  }

  private create({ ClientToken: _token, ...definition }: CreateScheduleInput): CreateScheduleOutput {
    inDefaultGroup(definition.GroupName);
    const name = definition.Name ?? '';
    if (this.schedules.has(name)) throw new ApiError('ConflictException', `Schedule ${name} already exists.`);
    const now = this.context.clock.now();
    const next = this.check(definition, now);
    const schedule: Schedule = {
      arn: arn(this.context.account, 'scheduler', `schedule/default/${name}`),
      name,
      createdAt: now,
      changedAt: now,
      definition,
    };
    this.schedules.set(name, schedule);
    this.arm(schedule, next, now);
    return { ScheduleArn: schedule.arn };
  }

  private update({ ClientToken: _token, ...definition }: UpdateScheduleInput): UpdateScheduleOutput {
    const schedule = this.find(definition.Name, definition.GroupName);
    const now = this.context.clock.now();
    const next = this.check(definition, schedule.createdAt);
    schedule.definition = definition;
    schedule.changedAt = now;
    this.disarm(schedule.name);
    this.arm(schedule, next, now);
    return { ScheduleArn: schedule.arn };
  }

  private get(input: GetScheduleInput): GetScheduleOutput {
    const schedule = this.find(input.Name, input.GroupName);
    return {
      ...schedule.definition,
      Arn: schedule.arn,
      GroupName: 'default',
      State: schedule.definition.State ?? 'ENABLED',
      ScheduleExpressionTimezone: zoneOf(schedule.definition),
      CreationDate: schedule.createdAt,
      LastModificationDate: schedule.changedAt,
    };
  }

  private list(input: ListSchedulesInput): ListSchedulesOutput {
    inDefaultGroup(input.GroupName);
    return {
      Schedules: [...this.schedules.values()]
        .filter(({ name }) => name.startsWith(input.NamePrefix ?? ''))
        .filter(
          ({ definition }) => input.State === undefined || (definition.State ?? 'ENABLED') === input.State,
        )
        .map((schedule): ScheduleSummary => ({
          Arn: schedule.arn,
          Name: schedule.name,
          GroupName: 'default',
          State: schedule.definition.State ?? 'ENABLED',
          CreationDate: schedule.createdAt,
          LastModificationDate: schedule.changedAt,
          Target: { Arn: schedule.definition.Target?.Arn },
        })),
    };
  }

  private delete(input: DeleteScheduleInput): object {
    const { name } = this.find(input.Name, input.GroupName);
    this.disarm(name);
    this.schedules.delete(name);
    return {};
  }

  /** @throws {ApiError} when the schedule could never run */
  private check(definition: Definition, createdAt: Date): NextRun {
    checkTarget(definition.Target?.Arn ?? '');
    return parseExpression(
      definition.ScheduleExpression ?? '',
      zoneOf(definition),
      definition.StartDate ?? createdAt,
    );
  }

  private arm(schedule: Schedule, next: NextRun, after: Date): void {
    const { StartDate: start, EndDate: end, State: state } = schedule.definition;
    if (state === 'DISABLED') return;
    const at = next(start && start > after ? new Date(start.getTime() - 1) : after);
    if (!at || (end && at > end)) {
      if (schedule.definition.ActionAfterCompletion === 'DELETE') this.schedules.delete(schedule.name);
      return;
    }
    const cancel = this.context.clock.schedule(
      at,
      async () => {
        this.arm(schedule, next, at);
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

  private async run(schedule: Schedule, at: Date): Promise<void> {
    const { Arn: targetArn = '', RoleArn: roleArn, Input: input } = schedule.definition.Target ?? {};
    const time = at.toISOString().replace(/\.\d+Z$/, 'Z');
    const payload =
      input
        ?.replaceAll('<aws.scheduler.scheduled-time>', time)
        .replaceAll('<aws.scheduler.schedule-arn>', schedule.arn) ??
      JSON.stringify({
        version: '0',
        id: randomUUID(),
        'detail-type': 'Scheduled Event',
        source: 'aws.scheduler',
        account: this.context.account.accountId,
        time,
        region: this.context.account.region,
        resources: [schedule.arn],
        detail: '{}',
      });
    try {
      await deliver(this.context, { arn: targetArn, roleArn }, payload);
    } catch (error) {
      this.context.log(`scheduler: ${schedule.name} did not reach ${targetArn}: ${String(error)}`);
    }
  }

  private find(name = '', group?: string): Schedule {
    inDefaultGroup(group);
    const schedule = this.schedules.get(name);
    if (!schedule) throw new ApiError('ResourceNotFoundException', `Schedule ${name} does not exist.`);
    return schedule;
  }
}

function zoneOf(definition: Definition): string {
  return definition.ScheduleExpressionTimezone ?? 'UTC';
}

function inDefaultGroup(group: string | undefined): void {
  if (group !== undefined && group !== 'default')
    throw new ApiError('ResourceNotFoundException', `Schedule group ${group} does not exist.`);
}
