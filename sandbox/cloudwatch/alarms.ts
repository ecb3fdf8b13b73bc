import type { AlarmHistoryItem } from '@aws-sdk/client-cloudwatch';
import { ApiError, type Caller } from '../core/api';
import type { SandboxContext } from '../core/context';
import { pointOf, reasonFor, type Alarm } from './alarm';
import { alarmsIn, isTrue } from './alarm-rule';
import { isComposite, isOnMetric, transitionOf, type CompositeAlarm } from './composite-alarm';
import { evaluate, evaluationRange, type AlarmState } from './evaluation';
import { MINUTE, seriesKey, statistic, type MetricId, type MetricStore } from './metrics';
import { notice, stateChange, time } from './notice';

interface State {
  readonly alarms: Map<string, Alarm | CompositeAlarm>;
  readonly history: AlarmHistoryItem[];
}

/** Entries of the history that are kept. */
const KEPT = 1000;

/**
 * The alarms. Each is looked at every minute, as on AWS, but for those that nothing can change: an alarm whose metric has no
 * value in its evaluation range sleeps until there is one. Composite alarms follow the alarms of their rule at once.
 */
export class Alarms {
  private state: State = { alarms: new Map(), history: [] };
  private cancel: (() => void) | undefined;

  constructor(
    private readonly context: SandboxContext,
    private readonly metrics: MetricStore,
  ) {
    context.keep('alarms', {
      save: () => this.state,
      load: (state: State) => {
        this.state = state;
      },
      resume: async () => {
        this.arm();
      },
    });
  }

  get all(): readonly (Alarm | CompositeAlarm)[] {
    return [...this.state.alarms.values()].sort((left, right) => (left.name < right.name ? -1 : 1));
  }

  /** What happened to alarms, oldest first. */
  get history(): readonly AlarmHistoryItem[] {
    return this.state.history;
  }

  get(name: string): Alarm | CompositeAlarm | undefined {
    return this.state.alarms.get(name);
  }

  /** By name or ARN, as rules name alarms. */
  find(named: string): Alarm | CompositeAlarm | undefined {
    return this.state.alarms.get(named) ?? this.all.find(({ arn }) => arn === named);
  }

  /** The composite alarms whose rule names an alarm. */
  above({ name, arn }: Alarm | CompositeAlarm): CompositeAlarm[] {
    return this.all
      .filter(isComposite)
      .filter(({ rule }) => alarmsIn(rule).some((named) => named === name || named === arn));
  }

  put(alarm: Alarm | CompositeAlarm): void {
    const known = this.state.alarms.has(alarm.name);
    this.state.alarms.set(alarm.name, alarm);
    this.remember(alarm, 'ConfigurationUpdate', `Alarm "${alarm.name}" ${known ? 'updated' : 'created'}`, {});
    this.arm();
  }

  /** Has a composite alarm take the state that its rule has now. */
  async settle(alarm: CompositeAlarm, because: 'created' | 'updated'): Promise<void> {
    const state = this.stateOf(alarm);
    const triggers = alarmsIn(alarm.rule).flatMap((named) => this.find(named) ?? []);
    await this.changeComposite(
      alarm,
      state,
      `${alarm.arn} was ${because} and its alarm rule evaluates to ${state}`,
      triggers,
      [],
    );
  }

  delete(name: string): void {
    this.state.alarms.delete(name);
  }

  /** Wakes the alarms of a metric that has a new value. */
  wake(metric: MetricId): void {
    const key = seriesKey(metric);
    const woken = this.onMetrics.filter((alarm) => !alarm.awake && seriesKey(alarm.metric) === key);
    for (const alarm of woken) alarm.awake = true;
    if (woken.length > 0) this.arm();
  }

  /** Resolves when whoever is to be told has been. */
  async change(
    alarm: Alarm | CompositeAlarm,
    state: AlarmState,
    reason: string,
    reasonData?: string,
    below: readonly string[] = [],
  ): Promise<void> {
    const before = { value: alarm.state, reason: alarm.reason, at: alarm.changedAt };
    const now = this.context.clock.now();
    alarm.reason = reason;
    alarm.reasonData = reasonData;
    alarm.updatedAt = now;
    if (state === before.value) return;
    alarm.state = state;
    alarm.changedAt = now;
    this.remember(alarm, 'StateUpdate', `Alarm updated from ${before.value} to ${state}`, {
      oldState: { stateValue: before.value, stateReason: before.reason },
      newState: { stateValue: state, stateReason: reason },
    });
    await this.publish(alarm, before);
    if (alarm.actionsEnabled)
      for (const topic of alarm.actions[state]) await this.tell(alarm, topic, before.value);
    // Rules can name each other in a circle: CloudWatch stops there.
    const path = [...below, alarm.name];
    for (const composite of this.above(alarm).filter(({ name }) => !path.includes(name))) {
      const follows = this.stateOf(composite);
      if (follows !== composite.state)
        await this.changeComposite(composite, follows, transitionOf(alarm), [alarm], path);
    }
  }

  stop(): void {
    this.cancel?.();
    this.cancel = undefined;
  }

  private get onMetrics(): Alarm[] {
    return [...this.state.alarms.values()].filter(isOnMetric);
  }

  private stateOf({ rule }: CompositeAlarm): AlarmState {
    return isTrue(rule, (named) => this.find(named)?.state) ? 'ALARM' : 'OK';
  }

  private async changeComposite(
    alarm: CompositeAlarm,
    state: AlarmState,
    reason: string,
    by: readonly (Alarm | CompositeAlarm)[],
    below: readonly string[],
  ): Promise<void> {
    alarm.triggers = by.map((each) => ({ arn: each.arn, state: each.state, at: each.changedAt }));
    const triggeringAlarms = alarm.triggers.map(({ arn, state: value, at }) => ({
      arn,
      state: { value, timestamp: time(at) },
    }));
    await this.change(alarm, state, reason, JSON.stringify({ triggeringAlarms }), below);
  }

  /** At the end of the present minute, if some alarm is awake. */
  private arm(): void {
    if (this.cancel !== undefined || !this.onMetrics.some(({ awake }) => awake)) return;
    const at = new Date((Math.floor(this.context.clock.now().getTime() / MINUTE) + 1) * MINUTE);
    this.cancel = this.context.clock.schedule(
      at,
      async () => {
        this.cancel = undefined;
        for (const alarm of this.onMetrics) if (alarm.awake) await this.look(alarm, at.getTime());
        this.arm();
      },
      { background: true },
    );
  }

  private async look(alarm: Alarm, end: number): Promise<void> {
    const { evaluationPeriods, datapointsToAlarm = evaluationPeriods, treatMissingData } = alarm;
    const length = alarm.period * 1000;
    const values: { value: number; from: Date }[] = [];
    const points = Array.from(
      { length: evaluationRange(evaluationPeriods) },
      (_, index, all = evaluationRange(evaluationPeriods)) => {
        const from = end - (all - index) * length;
        const found = this.metrics.within(alarm.metric, from, from + length);
        const value = found && statistic(found, alarm.statistic);
        if (value !== undefined) values.push({ value, from: new Date(from) });
        return pointOf(alarm, value);
      },
    );
    // Without any value nothing changes any more until there is one.
    alarm.awake = values.length > 0;
    const state = evaluate(points, { evaluationPeriods, datapointsToAlarm, treatMissingData });
    if (state === undefined || state === alarm.state) return;
    const reasonData = {
      version: '1.0',
      queryDate: new Date(end).toISOString().replace('Z', '+0000'),
      statistic: alarm.statistic,
      period: alarm.period,
      recentDatapoints: values.slice(-evaluationPeriods).map(({ value }) => value),
      threshold: alarm.threshold,
    };
    await this.change(alarm, state, reasonFor(alarm, state, values), JSON.stringify(reasonData));
  }

  private async tell(alarm: Alarm | CompositeAlarm, topicArn: string, before: AlarmState): Promise<void> {
    const service = 'cloudwatch.amazonaws.com';
    const caller: Caller = { arn: service, via: { service, sourceArn: alarm.arn } };
    const input = { TopicArn: topicArn, ...notice(this.context.account, alarm, before) };
    try {
      await this.context.api.call('sns', 'Publish', input, caller);
      this.remember(alarm, 'Action', `Successfully executed action ${topicArn}`, {
        actionState: 'Succeeded',
      });
    } catch (error) {
      const message = error instanceof ApiError ? error.message : String(error);
      this.remember(alarm, 'Action', `Failed to execute action ${topicArn}`, {
        actionState: 'Failed',
        error: message,
      });
      this.context.log(
        `cloudwatch: ${alarm.name}: Failed to execute action ${topicArn}. Received error: "${message}"`,
      );
    }
  }

  private async publish(
    alarm: Alarm | CompositeAlarm,
    before: Parameters<typeof stateChange>[1],
  ): Promise<void> {
    const entry = {
      Source: 'aws.cloudwatch',
      DetailType: 'CloudWatch Alarm State Change',
      Resources: [alarm.arn],
      Detail: JSON.stringify(stateChange(alarm, before)),
    };
    try {
      await this.context.api.call(
        'events',
        'PutEvents',
        { Entries: [entry] },
        { arn: 'cloudwatch.amazonaws.com' },
      );
    } catch (error) {
      this.context.log(`cloudwatch: the change of ${alarm.name} was not published: ${String(error)}`);
    }
  }

  private remember(
    alarm: Alarm | CompositeAlarm,
    type: 'ConfigurationUpdate' | 'StateUpdate' | 'Action',
    summary: string,
    data: object,
  ): void {
    this.state.history.push({
      AlarmName: alarm.name,
      AlarmType: isComposite(alarm) ? 'CompositeAlarm' : 'MetricAlarm',
      Timestamp: this.context.clock.now(),
      HistoryItemType: type,
      HistorySummary: summary,
      HistoryData: JSON.stringify({ version: '1.0', ...data }),
    });
    if (this.state.history.length > KEPT) this.state.history.shift();
  }
}
