import type {
  DeleteAlarmsInput,
  DeleteDashboardsInput,
  DescribeAlarmHistoryInput,
  DescribeAlarmHistoryOutput,
  DescribeAlarmsInput,
  DescribeAlarmsOutput,
  DisableAlarmActionsInput,
  EnableAlarmActionsInput,
  GetDashboardInput,
  GetDashboardOutput,
  GetMetricDataInput,
  GetMetricDataOutput,
  GetMetricStatisticsInput,
  GetMetricStatisticsOutput,
  ListDashboardsInput,
  ListDashboardsOutput,
  ListMetricsInput,
  ListMetricsOutput,
  ListTagsForResourceInput,
  ListTagsForResourceOutput,
  Metric,
  MetricAlarm,
  MetricDatum,
  PutCompositeAlarmInput,
  PutDashboardInput,
  PutDashboardOutput,
  PutMetricAlarmInput,
  PutMetricDataInput,
  SetAlarmStateInput,
  StandardUnit,
  TagResourceInput,
  UntagResourceInput,
} from '@aws-sdk/client-cloudwatch';
import { arn } from '../core/account';
import { ApiError, NotInSandbox, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import { isJson } from '../core/json';
import { tagsOf } from '../core/tags';
import { describedAlarm, dimensionsOf, settingsOf, type Alarm } from './alarm';
import { alarmsIn } from './alarm-rule';
import { Alarms } from './alarms';
import {
  compositeSettingsOf,
  describedComposite,
  isComposite,
  isOnMetric,
  type CompositeAlarm,
} from './composite-alarm';
import type { AlarmState } from './evaluation';
import {
  isStatistic,
  MetricStore,
  one,
  statistic,
  UNITS,
  type Aggregate,
  type Measurement,
  type Series,
} from './metrics';

interface Dashboard {
  readonly body: string;
  readonly changedAt: Date;
}

interface State {
  readonly series: Map<string, Series>;
  readonly dashboards: Map<string, Dashboard>;
}

const WEEKS_BACK = 14 * 86_400_000;
const HOURS_AHEAD = 2 * 3_600_000;

/** CloudWatch: metrics by the minute, alarms on one metric's statistic or on other alarms, dashboards as they were put. */
export class CloudWatchService implements Service {
  readonly name = 'monitoring';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly metrics = new MetricStore();
  private readonly alarms: Alarms;
  private dashboards = new Map<string, Dashboard>();

  constructor(private readonly context: SandboxContext) {
    context.keep('cloudwatch', {
      save: (): State => ({ series: this.metrics.series, dashboards: this.dashboards }),
      load: ({ series, dashboards }: State) => {
        this.metrics.series = series;
        this.dashboards = dashboards;
      },
    });
    this.alarms = new Alarms(context, this.metrics);
    this.operations = {
      PutMetricData: async (input: PutMetricDataInput) => this.putMetricData(input),
      ListMetrics: async (input: ListMetricsInput) => this.listMetrics(input),
      GetMetricStatistics: async (input: GetMetricStatisticsInput) => this.getStatistics(input),
      GetMetricData: async (input: GetMetricDataInput) => this.getMetricData(input),
      PutMetricAlarm: async (input: PutMetricAlarmInput) => this.putAlarm(input),
      PutCompositeAlarm: async (input: PutCompositeAlarmInput) => this.putComposite(input),
      DescribeAlarms: async (input: DescribeAlarmsInput) => this.describeAlarms(input),
      DescribeAlarmHistory: async (input: DescribeAlarmHistoryInput) => this.describeHistory(input),
      DeleteAlarms: async (input: DeleteAlarmsInput) => this.deleteAlarms(input),
      SetAlarmState: async (input: SetAlarmStateInput) => this.setAlarmState(input),
      EnableAlarmActions: async (input: EnableAlarmActionsInput) => this.setActions(input, true),
      DisableAlarmActions: async (input: DisableAlarmActionsInput) => this.setActions(input, false),
      TagResource: async (input: TagResourceInput) => this.tag(input),
      UntagResource: async (input: UntagResourceInput) => this.untag(input),
      ListTagsForResource: async (input: ListTagsForResourceInput) => this.listTags(input),
      PutDashboard: async (input: PutDashboardInput) => this.putDashboard(input),
      GetDashboard: async (input: GetDashboardInput) => this.getDashboard(input),
      ListDashboards: async (input: ListDashboardsInput) => this.listDashboards(input),
      DeleteDashboards: async (input: DeleteDashboardsInput) => this.deleteDashboards(input),
    };
  }

  /** Measures something in the name of one of AWS's own services. */
  record(measurement: Measurement): void {
    this.metrics.record(measurement);
    this.alarms.wake(measurement);
  }

  /** The alarms as they are now, for inspection. */
  inspect(): readonly Readonly<Alarm | CompositeAlarm>[] {
    return this.alarms.all;
  }

  async stop(): Promise<void> {
    this.alarms.stop();
  }

  private putMetricData(input: PutMetricDataInput): object {
    const namespace = input.Namespace ?? '';
    if (namespace.startsWith('AWS/'))
      throw new ApiError('InvalidParameterValue', 'The value AWS/ for parameter Namespace is invalid.');
    if (input.EntityMetricData !== undefined)
      throw new NotInSandbox('monitoring:PutMetricData with EntityMetricData');
    const data = input.MetricData ?? [];
    if (data.length === 0) throw new ApiError('MissingParameter', 'The parameter MetricData is required.');
    if (data.length > 1000)
      throw new ApiError(
        'InvalidParameterValue',
        'The collection MetricData must not have a size greater than 1000.',
      );
    // All or nothing: nothing is recorded before everything has been read.
    for (const measurement of data.flatMap((datum) => this.measurements(namespace, datum)))
      this.record(measurement);
    return {};
  }

  private measurements(namespace: string, datum: MetricDatum): Measurement[] {
    const { MetricName: name = '', Unit: unit = 'None', Timestamp: at = this.context.clock.now() } = datum;
    if (datum.StorageResolution !== undefined && datum.StorageResolution !== 60)
      throw new NotInSandbox('metrics of a resolution below a minute (StorageResolution)');
    if (!UNITS.includes(unit))
      throw new ApiError(
        'InvalidParameterValue',
        `The parameter MetricData.member.1.Unit must be a value in the set [ ${UNITS.join(', ')} ].`,
      );
    if ((datum.Dimensions?.length ?? 0) > 30)
      throw new ApiError(
        'InvalidParameterValue',
        'The collection MetricData.member.1.Dimensions must not have a size greater than 30.',
      );
    const age = this.context.clock.now().getTime() - at.getTime();
    if (age > WEEKS_BACK || -age > HOURS_AHEAD)
      throw new ApiError(
        'InvalidParameterValue',
        `The parameter MetricData.member.1.Timestamp must specify a time within the past two weeks and no more than two hours in the future.`,
      );
    const common = { namespace, name, dimensions: dimensionsOf(datum.Dimensions), unit, at };
    return aggregatesOf(datum).map((values) => ({ ...common, values }));
  }

  private listMetrics(input: ListMetricsInput): ListMetricsOutput {
    if (input.RecentlyActive !== undefined)
      throw new NotInSandbox('monitoring:ListMetrics with RecentlyActive');
    const found = new Map<string, Metric>();
    for (const { namespace, name, dimensions } of this.metrics.series.values()) {
      const fits =
        (input.Namespace === undefined || input.Namespace === namespace) &&
        (input.MetricName === undefined || input.MetricName === name) &&
        (input.Dimensions ?? []).every(
          ({ Name = '', Value }) => Name in dimensions && (Value === undefined || dimensions[Name] === Value),
        );
      if (fits)
        found.set(JSON.stringify([namespace, name, dimensions]), {
          Namespace: namespace,
          MetricName: name,
          Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
        });
    }
    return { Metrics: [...found.values()] };
  }

  private getStatistics(input: GetMetricStatisticsInput): GetMetricStatisticsOutput {
    if (input.ExtendedStatistics !== undefined)
      throw new NotInSandbox('percentiles of metrics (ExtendedStatistics)');
    const wanted = (input.Statistics ?? []).filter(isStatistic);
    if (wanted.length === 0)
      throw new ApiError(
        'MissingParameter',
        'At least one of the parameters Statistics and ExtendedStatistics must be specified.',
      );
    const metric = {
      namespace: input.Namespace ?? '',
      name: input.MetricName ?? '',
      dimensions: dimensionsOf(input.Dimensions),
      unit: input.Unit,
    };
    const unit = this.metrics.unitOf(metric) as StandardUnit;
    return {
      Label: metric.name,
      Datapoints: this.points(metric, input.Period ?? 60, input.StartTime, input.EndTime).map(
        ({ at, values }) => ({
          Timestamp: at,
          Unit: unit,
          ...Object.fromEntries(wanted.map((each) => [each, statistic(values, each)])),
        }),
      ),
    };
  }

  private getMetricData(input: GetMetricDataInput): GetMetricDataOutput {
    const results = (input.MetricDataQueries ?? []).map(
      ({ Id, MetricStat, Label, Expression, ReturnData }) => {
        if (Expression !== undefined || !MetricStat) throw new NotInSandbox('metric math (Expression)');
        const { Metric, Stat = '', Period, Unit } = MetricStat;
        if (!isStatistic(Stat)) throw new NotInSandbox(`the statistic ${Stat}`);
        const metric = {
          namespace: Metric?.Namespace ?? '',
          name: Metric?.MetricName ?? '',
          dimensions: dimensionsOf(Metric?.Dimensions),
          unit: Unit,
        };
        const points = this.points(metric, Period ?? 60, input.StartTime, input.EndTime);
        // The newest first, unless asked for otherwise.
        if (input.ScanBy !== 'TimestampAscending') points.reverse();
        return {
          returned: ReturnData ?? true,
          result: {
            Id,
            Label: Label ?? metric.name,
            Timestamps: points.map(({ at }) => at),
            Values: points.map(({ values }) => statistic(values, Stat)),
            StatusCode: 'Complete' as const,
          },
        };
      },
    );
    return {
      MetricDataResults: results.filter(({ returned }) => returned).map(({ result }) => result),
      Messages: [],
    };
  }

  /** The periods that have values, oldest first. They begin at multiples of their length. */
  private points(
    metric: Parameters<MetricStore['within']>[0],
    period: number,
    start: Date | undefined,
    end: Date | undefined,
  ): { at: Date; values: Aggregate }[] {
    if (!start || !end || start >= end)
      throw new ApiError(
        'InvalidParameterValue',
        'The parameter StartTime must be less than the parameter EndTime.',
      );
    if (period < 60) throw new NotInSandbox('periods below a minute');
    if (period % 60 !== 0)
      throw new ApiError('InvalidParameterValue', 'The parameter Period must be a multiple of 60.');
    const length = period * 1000;
    const found: { at: Date; values: Aggregate }[] = [];
    for (let from = Math.floor(start.getTime() / length) * length; from < end.getTime(); from += length) {
      const values = this.metrics.within(metric, from, from + length);
      if (values) found.push({ at: new Date(from), values });
    }
    return found;
  }

  private putAlarm(input: PutMetricAlarmInput): object {
    const settings = settingsOf(input);
    const known = this.alarms.get(settings.name);
    if (known && isComposite(known)) throw otherType(known);
    this.alarms.put({ ...settings, ...this.begun(settings.name, input.Tags), awake: true });
    return {};
  }

  private async putComposite(input: PutCompositeAlarmInput): Promise<object> {
    const settings = compositeSettingsOf(input);
    const missing = alarmsIn(settings.rule).filter((named) => !this.alarms.find(named));
    if (missing.length > 0)
      throw new ApiError(
        'ValidationError',
        `Could not save the composite alarm as alarms [${missing.join(', ')}] in the alarm rule do not exist`,
      );
    const known = this.alarms.get(settings.name);
    if (known && isOnMetric(known)) throw otherType(known);
    const alarm = {
      ...settings,
      ...this.begun(settings.name, input.Tags),
      triggers: known?.triggers ?? [],
    };
    this.alarms.put(alarm);
    await this.alarms.settle(alarm, known ? 'updated' : 'created');
    return {};
  }

  /** What an alarm has that is new; what it goes on with that was there. */
  private begun(
    name: string,
    tags: PutMetricAlarmInput['Tags'],
  ): Pick<
    Alarm,
    'arn' | 'configuredAt' | 'state' | 'reason' | 'reasonData' | 'updatedAt' | 'changedAt' | 'tags'
  > {
    const known = this.alarms.get(name);
    const now = this.context.clock.now();
    return {
      arn: arn(this.context.account, 'cloudwatch', `alarm:${name}`),
      configuredAt: now,
      state: known?.state ?? 'INSUFFICIENT_DATA',
      reason: known?.reason ?? 'Unchecked: Initial alarm creation',
      reasonData: known?.reasonData,
      updatedAt: known?.updatedAt ?? now,
      changedAt: known?.changedAt ?? now,
      tags: known?.tags ?? tagsOf(tags),
    };
  }

  private describeAlarms(input: DescribeAlarmsInput): DescribeAlarmsOutput {
    const { MaxRecords = 50, NextToken: after = '' } = input;
    const matching = this.matching(input).filter(({ name }) => name > after);
    const page = matching.slice(0, MaxRecords);
    const last = page.at(-1);
    const composites = page.filter(isComposite).map(describedComposite);
    const onMetrics = page.filter(isOnMetric).map(describedAlarm);
    const shown = shownOf(input);
    return {
      MetricAlarms: shown ? onMetrics.map(shown) : onMetrics,
      CompositeAlarms: shown ? composites.map(shown) : composites,
      ...(last && matching.length > page.length && { NextToken: last.name }),
    };
  }

  private matching(input: DescribeAlarmsInput): readonly (Alarm | CompositeAlarm)[] {
    const { ChildrenOfAlarmName: parent, ParentsOfAlarmName: child, ...others } = input;
    const related = parent ?? child;
    if (related !== undefined) {
      const more = Object.entries({ ...others, MaxRecords: undefined, NextToken: undefined }).some(
        ([, value]) => value !== undefined,
      );
      if (more || (parent !== undefined && child !== undefined))
        throw new ApiError(
          'ValidationError',
          'ChildrenOfAlarmName and ParentsOfAlarmName cannot be specified with other parameters.',
        );
      const alarm = this.alarms.get(related);
      if (!alarm) throw notFound();
      if (parent === undefined) return this.alarms.above(alarm);
      if (!isComposite(alarm)) return [];
      const below = alarmsIn(alarm.rule).map((named) => this.alarms.find(named));
      return this.alarms.all.filter((each) => below.includes(each));
    }
    if (input.ActionPrefix !== undefined) throw new NotInSandbox('monitoring:DescribeAlarms by action');
    const { AlarmNames: names, AlarmNamePrefix: prefix = '', StateValue: state } = input;
    const types = typesOf(input.AlarmTypes);
    return this.alarms.all.filter(
      (alarm) =>
        types.includes(typeOf(alarm)) &&
        (names === undefined || names.includes(alarm.name)) &&
        alarm.name.startsWith(prefix) &&
        (state === undefined || alarm.state === state),
    );
  }

  private describeHistory(input: DescribeAlarmHistoryInput): DescribeAlarmHistoryOutput {
    const { AlarmName: name, HistoryItemType: type, StartDate: from, EndDate: to } = input;
    const types = typesOf(input.AlarmTypes);
    const items = this.alarms.history.filter(
      ({ AlarmName, AlarmType = 'MetricAlarm', HistoryItemType, Timestamp: at }) =>
        types.includes(AlarmType) &&
        (name === undefined || name === AlarmName) &&
        (type === undefined || type === HistoryItemType) &&
        (!from || !at || at >= from) &&
        (!to || !at || at <= to),
    );
    const ordered = input.ScanBy === 'TimestampAscending' ? items : items.toReversed();
    return { AlarmHistoryItems: ordered.slice(0, input.MaxRecords ?? 100) };
  }

  private deleteAlarms(input: DeleteAlarmsInput): object {
    const names = input.AlarmNames ?? [];
    const missing = names.find((name) => !this.alarms.get(name));
    // Of several that are to go, none goes when one is not there.
    if (missing !== undefined && names.length > 1) throw notFound();
    const going = names.flatMap((name) => this.alarms.get(name) ?? []);
    if (going.filter(isComposite).length > 1)
      throw new ApiError('ValidationError', 'Only one composite alarm can be deleted at a time.');
    const needed = going
      .filter((alarm) => this.alarms.above(alarm).some((above) => !going.includes(above)))
      .map(({ name }) => name);
    if (needed.length > 0)
      throw new ApiError(
        'ValidationError',
        `Cannot delete ${needed.join(',')} as there are composite alarm(s) depending on ${needed.length === 1 ? 'it' : 'them'}.`,
      );
    for (const name of names) this.alarms.delete(name);
    return {};
  }

  private async setAlarmState(input: SetAlarmStateInput): Promise<object> {
    const alarm = this.alarms.get(input.AlarmName ?? '');
    if (!alarm) throw notFound();
    const state = input.StateValue;
    if (!isState(state))
      throw new ApiError('ValidationError', 'StateValue must be one of OK, ALARM and INSUFFICIENT_DATA');
    if (input.StateReasonData !== undefined && !isJson(input.StateReasonData))
      throw new ApiError('InvalidFormat', 'StateReasonData must be valid JSON.');
    // It holds until the alarm is looked at again, in the next minute; of a composite one until an alarm of its rule changes.
    if (isOnMetric(alarm)) alarm.awake = true;
    else alarm.triggers = [];
    await this.alarms.change(alarm, state, input.StateReason ?? '', input.StateReasonData);
    if (isOnMetric(alarm)) this.alarms.wake(alarm.metric);
    return {};
  }

  private setActions(input: EnableAlarmActionsInput, enabled: boolean): object {
    for (const name of input.AlarmNames ?? []) {
      const alarm = this.alarms.get(name);
      if (alarm) alarm.actionsEnabled = enabled;
    }
    return {};
  }

  private tag(input: TagResourceInput): object {
    Object.assign(this.tagged(input.ResourceARN).tags, tagsOf(input.Tags));
    return {};
  }

  private untag(input: UntagResourceInput): object {
    const alarm = this.tagged(input.ResourceARN);
    alarm.tags = Object.fromEntries(
      Object.entries(alarm.tags).filter(([key]) => !input.TagKeys?.includes(key)),
    );
    return {};
  }

  private listTags(input: ListTagsForResourceInput): ListTagsForResourceOutput {
    return {
      Tags: Object.entries(this.tagged(input.ResourceARN).tags).map(([Key, Value]) => ({ Key, Value })),
    };
  }

  private tagged(resourceArn = ''): Alarm | CompositeAlarm {
    const alarm = this.alarms.get(resourceArn.split(':alarm:')[1] ?? '');
    if (!alarm) throw notFound();
    return alarm;
  }

  private putDashboard(input: PutDashboardInput): PutDashboardOutput {
    const { DashboardName: name = '', DashboardBody: body = '' } = input;
    if (!/^[\w-]{1,255}$/.test(name))
      throw new ApiError(
        'InvalidParameterInput',
        `The value ${name} for field DashboardName contains invalid characters.`,
      );
    if (!isJson(body))
      throw new ApiError('InvalidParameterInput', 'The field DashboardBody must be a valid JSON object');
    this.dashboards.set(name, { body, changedAt: this.context.clock.now() });
    return { DashboardValidationMessages: [] };
  }

  private getDashboard({ DashboardName: name = '' }: GetDashboardInput): GetDashboardOutput {
    const dashboard = this.dashboards.get(name);
    if (!dashboard) throw new ApiError('ResourceNotFound', `Dashboard ${name} does not exist`, 404);
    return { DashboardArn: this.dashboardArn(name), DashboardName: name, DashboardBody: dashboard.body };
  }

  private listDashboards({ DashboardNamePrefix = '' }: ListDashboardsInput): ListDashboardsOutput {
    return {
      DashboardEntries: [...this.dashboards]
        .filter(([name]) => name.startsWith(DashboardNamePrefix))
        .map(([name, { body, changedAt }]) => ({
          DashboardName: name,
          DashboardArn: this.dashboardArn(name),
          LastModified: changedAt,
          Size: Buffer.byteLength(body),
        })),
    };
  }

  private deleteDashboards({ DashboardNames = [] }: DeleteDashboardsInput): object {
    const missing = DashboardNames.filter((name) => !this.dashboards.has(name));
    if (missing.length > 0)
      throw new ApiError('ResourceNotFound', `Dashboards [${missing.join(', ')}] do not exist`, 404);
    for (const name of DashboardNames) this.dashboards.delete(name);
    return {};
  }

  private dashboardArn(name: string): string {
    return arn(this.context.account, 'cloudwatch', `dashboard/${name}`, { regional: false });
  }
}

/** The values of a datum: one, a set of statistics, or many with how often each came. */
function aggregatesOf(datum: MetricDatum): Aggregate[] {
  const { Value, Values, Counts, StatisticValues: set } = datum;
  const forms = [Value, Values, set].filter((form) => form !== undefined).length;
  if (forms !== 1)
    throw new ApiError(
      'InvalidParameterCombination',
      'Exactly one of the parameters MetricData.member.1.Value, MetricData.member.1.Values and MetricData.member.1.StatisticValues must be specified.',
    );
  if (set)
    return [
      {
        count: set.SampleCount ?? 0,
        sum: set.Sum ?? 0,
        minimum: set.Minimum ?? 0,
        maximum: set.Maximum ?? 0,
      },
    ];
  const values = Values ?? [Value ?? 0];
  if (Counts && Counts.length !== values.length)
    throw new ApiError('InvalidParameterValue', 'The parameters Values and Counts must have the same size.');
  return values.map((value, index) => {
    if (!Number.isFinite(value))
      throw new ApiError(
        'InvalidParameterValue',
        `The value ${value} for parameter MetricData.member.1.Value is invalid.`,
      );
    const count = Counts?.[index] ?? 1;
    return { ...one(value), count, sum: value * count };
  });
}

/** Left out, composite alarms are left out. */
function typesOf(types: readonly string[] = []): readonly string[] {
  if (types.includes('LogAlarm')) throw new NotInSandbox('log alarms');
  return types.length === 0 ? ['MetricAlarm'] : types;
}

function typeOf(alarm: Alarm | CompositeAlarm): 'MetricAlarm' | 'CompositeAlarm' {
  return isComposite(alarm) ? 'CompositeAlarm' : 'MetricAlarm';
}

/** Of children and parents only a little is shown. */
function shownOf({
  ChildrenOfAlarmName: parent,
  ParentsOfAlarmName: child,
}: DescribeAlarmsInput): ((alarm: MetricAlarm) => MetricAlarm) | undefined {
  if (parent !== undefined)
    return ({ AlarmName, AlarmArn, StateValue, StateUpdatedTimestamp }) => ({
      AlarmName,
      AlarmArn,
      StateValue,
      StateUpdatedTimestamp,
    });
  return child === undefined ? undefined : ({ AlarmName, AlarmArn }) => ({ AlarmName, AlarmArn });
}

function otherType({ name }: Alarm | CompositeAlarm): ApiError {
  return new ApiError('ValidationError', `An alarm named ${name} of another type exists.`);
}

function isState(text: string | undefined): text is AlarmState {
  return text === 'OK' || text === 'ALARM' || text === 'INSUFFICIENT_DATA';
}

function notFound(): ApiError {
  return new ApiError('ResourceNotFound', 'The named resource does not exist.', 404);
}
