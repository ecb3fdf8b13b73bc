import type { DescribeRuleResponse, Target } from '@aws-sdk/client-eventbridge';
import { ApiError, NotInSandbox } from '../core/api';
import { parseExpression, type NextRun } from '../scheduler/expression';
import { targetKind } from './deliver';
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from './deliveries';
import { checkInput, type InputSettings } from './input';
import { parsePattern } from './pattern';

/** A rule of the default bus. Plain data. */
export interface Rule {
  readonly name: string;
  readonly arn: string;
  pattern: string | undefined;
  schedule: string | undefined;
  description: string | undefined;
  enabled: boolean;
  roleArn: string | undefined;
  /** Rates count from here. */
  since: Date;
  targets: Target[];
  tags: Record<string, string>;
}

/** When a scheduled rule runs. @throws {ApiError} ValidationException in the words of EventBridge */
export function runsOf(expression: string, since: Date): NextRun {
  const invalid = new ApiError('ValidationException', 'Parameter ScheduleExpression is not valid.');
  const [, count, unit = ''] = /^rate\((\d+) (\w+)\)$/.exec(expression) ?? [];
  // Rules, other than schedules, insist on "1 minute" and "2 minutes".
  if (count !== undefined && (count === '1') === unit.endsWith('s')) throw invalid;
  if (expression.startsWith('at(')) throw invalid;
  try {
    return parseExpression(expression, 'UTC', since);
  } catch {
    throw invalid;
  }
}

/** @throws {ApiError} for what a rule can't listen to */
export function checkTrigger(pattern: string | undefined, schedule: string | undefined, now: Date): void {
  if (pattern === undefined && schedule === undefined)
    throw new ApiError(
      'ValidationException',
      'Parameter(s) EventPattern or ScheduleExpression must be specified.',
    );
  if (pattern !== undefined) parsePattern(pattern);
  if (schedule !== undefined) runsOf(schedule, now);
}

const TARGET_MEMBERS: readonly string[] = [
  'Id',
  'Arn',
  'RoleArn',
  'Input',
  'InputPath',
  'InputTransformer',
  'RetryPolicy',
  'DeadLetterConfig',
];

/** @throws {ApiError} for a target that EventBridge or the sandbox does not take */
export function checkRuleTarget(target: Target): void {
  const others = Object.entries(target)
    .filter(([name, value]) => value !== undefined && !TARGET_MEMBERS.includes(name))
    .map(([name]) => name);
  if (others.length > 0) throw new NotInSandbox(`events:PutTargets with ${others.join(', ')}`);
  const { Id = '', Arn = '', RoleArn, RetryPolicy: retry, DeadLetterConfig } = target;
  if (!/^[.\-_A-Za-z0-9]{1,64}$/.test(Id))
    throw new ApiError('ValidationException', `Parameter Id is not valid: ${Id}`);
  if (targetKind(Arn) === 'states' && RoleArn === undefined)
    throw new ApiError('ValidationException', `RoleArn is required for target ${Arn}.`);
  checkRetryPolicy(retry, DeadLetterConfig?.Arn);
  checkInput(inputSettings(target));
}

/** @throws {ApiError} ValidationException for limits out of range or a dead-letter queue that is none */
export function checkRetryPolicy(
  retry:
    | {
        MaximumRetryAttempts?: number | undefined;
        MaximumEventAgeInSeconds?: number | undefined;
      }
    | undefined,
  deadLetterArn: string | undefined,
): void {
  const { MaximumRetryAttempts: attempts = 0, MaximumEventAgeInSeconds: age = 60 } = retry ?? {};
  const outside = (name: string, value: number, least: number, greatest: number): ApiError =>
    new ApiError(
      'ValidationException',
      `1 validation error detected: Value '${value}' at '${name}' failed to satisfy constraint: Member must have value ` +
        (value < least ? `greater than or equal to ${least}` : `less than or equal to ${greatest}`),
    );
  if (attempts < 0 || attempts > 185) throw outside('retryPolicy.maximumRetryAttempts', attempts, 0, 185);
  if (age < 60 || age > 86_400) throw outside('retryPolicy.maximumEventAgeInSeconds', age, 60, 86_400);
  if (deadLetterArn !== undefined && !/^arn:aws[\w-]*:sqs:[^:]+:\d{12}:[\w-]+$/.test(deadLetterArn))
    throw new ApiError(
      'ValidationException',
      `Parameter ${deadLetterArn} is not valid. Reason: it is no standard SQS queue.`,
    );
}

export function inputSettings({ Input, InputPath, InputTransformer }: Target): InputSettings {
  return {
    ...(Input !== undefined && { input: Input }),
    ...(InputPath !== undefined && { path: InputPath }),
    ...(InputTransformer && {
      transformer: {
        paths: InputTransformer.InputPathsMap ?? {},
        template: InputTransformer.InputTemplate ?? '',
      },
    }),
  };
}

export function retryPolicyOf({ RetryPolicy: retry }: Target): RetryPolicy {
  return {
    maximumRetryAttempts: retry?.MaximumRetryAttempts ?? DEFAULT_RETRY_POLICY.maximumRetryAttempts,
    maximumEventAgeSeconds: retry?.MaximumEventAgeInSeconds ?? DEFAULT_RETRY_POLICY.maximumEventAgeSeconds,
  };
}

/** A rule as DescribeRule and ListRules answer it. */
export function described(rule: Rule): DescribeRuleResponse {
  return {
    Name: rule.name,
    Arn: rule.arn,
    State: rule.enabled ? 'ENABLED' : 'DISABLED',
    EventBusName: 'default',
    ...(rule.pattern !== undefined && { EventPattern: rule.pattern }),
    ...(rule.schedule !== undefined && { ScheduleExpression: rule.schedule }),
    ...(rule.description !== undefined && { Description: rule.description }),
    ...(rule.roleArn !== undefined && { RoleArn: rule.roleArn }),
  };
}
