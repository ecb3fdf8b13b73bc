import type { CompositeAlarm as DescribedAlarm, PutCompositeAlarmInput } from '@aws-sdk/client-cloudwatch';
import { NotInSandbox } from '../core/api';
import { actionsOf, describedState, type Alarm, type AnyAlarm } from './alarm';
import { parseAlarmRule, type AlarmRule } from './alarm-rule';
import type { AlarmState } from './evaluation';

/** An alarm on the states of other alarms. Plain data. */
export interface CompositeAlarm extends AnyAlarm {
  /** As it was given, and as it was read. */
  readonly ruleText: string;
  readonly rule: AlarmRule;
  /** The alarms whose states made its own. */
  triggers: readonly { readonly arn: string; readonly state: AlarmState; readonly at: Date }[];
}

export function isComposite(alarm: Alarm | CompositeAlarm): alarm is CompositeAlarm {
  return 'rule' in alarm;
}

export function isOnMetric(alarm: Alarm | CompositeAlarm): alarm is Alarm {
  return !isComposite(alarm);
}

const SUPPORTED: readonly string[] = [
  'AlarmName',
  'AlarmDescription',
  'AlarmRule',
  'ActionsEnabled',
  'OKActions',
  'AlarmActions',
  'InsufficientDataActions',
  'Tags',
];

/** What PutCompositeAlarm asks for. @throws {ApiError} as CloudWatch refuses it, or a refusal of what the sandbox does not have */
export function compositeSettingsOf(
  input: PutCompositeAlarmInput,
): Pick<CompositeAlarm, 'name' | 'description' | 'ruleText' | 'rule' | 'actions' | 'actionsEnabled'> {
  const other = Object.entries(input).find(
    ([name, value]) => value !== undefined && !SUPPORTED.includes(name),
  );
  if (other) throw new NotInSandbox(`monitoring:PutCompositeAlarm with ${other[0]}`);
  const { AlarmName: name = '', AlarmRule: ruleText = '' } = input;
  return {
    name,
    description: input.AlarmDescription,
    ruleText,
    rule: parseAlarmRule(ruleText),
    actions: actionsOf(input),
    actionsEnabled: input.ActionsEnabled ?? true,
  };
}

/** An alarm as DescribeAlarms answers it. */
export function describedComposite(alarm: CompositeAlarm): DescribedAlarm {
  return { ...describedState(alarm), AlarmRule: alarm.ruleText };
}

/** `… transitioned to ALARM at Sunday 22 November, 2026 17:30:00 UTC`, as CloudWatch explains the state of a composite alarm. */
export function transitionOf({ arn, state, changedAt }: AnyAlarm): string {
  const part = (options: Intl.DateTimeFormatOptions): string =>
    new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', ...options }).format(changedAt);
  const day = `${part({ weekday: 'long' })} ${part({ day: '2-digit' })} ${part({ month: 'long' })}, ${changedAt.getUTCFullYear()}`;
  return `${arn} transitioned to ${state} at ${day} ${changedAt.toISOString().slice(11, 19)} UTC`;
}
