import type { CreateScheduleInput } from '@aws-sdk/client-scheduler';
import { ApiError, NotInSandbox } from '../core/api';
import { isJson } from '../core/json';
import { targetKind } from '../events/deliver';
import { checkRetryPolicy } from '../events/rule';
import { parseExpression } from './expression';

/** What a schedule is told to do. */
export type Definition = Omit<CreateScheduleInput, 'ClientToken'>;

export function zoneOf(definition: Definition): string {
  return definition.ScheduleExpressionTimezone ?? 'UTC';
}

/** @throws {ApiError} ValidationException when it could never run, or a refusal of what the sandbox does not have */
export function checkDefinition(definition: Definition, now: Date): void {
  const { Name = '', FlexibleTimeWindow, Target, StartDate, EndDate, ScheduleExpression = '' } = definition;
  if (!/^[0-9a-zA-Z-_.]{1,64}$/.test(Name))
    throw new ApiError(
      'ValidationException',
      `1 validation error detected: Value '${Name}' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$`,
    );
  if (definition.KmsKeyArn !== undefined) throw new NotInSandbox('scheduler: KmsKeyArn');
  const { Mode, MaximumWindowInMinutes: minutes } = FlexibleTimeWindow ?? {};
  if (Mode === 'FLEXIBLE' && minutes === undefined)
    throw new ApiError(
      'ValidationException',
      'MaximumWindowInMinutes must be provided when Mode is FLEXIBLE.',
    );
  if (Mode === 'OFF' && minutes !== undefined)
    throw new ApiError(
      'ValidationException',
      'MaximumWindowInMinutes must not be provided when Mode is OFF.',
    );
  if (minutes !== undefined && (minutes < 1 || minutes > 1440))
    throw new ApiError(
      'ValidationException',
      `1 validation error detected: Value '${minutes}' at 'flexibleTimeWindow.maximumWindowInMinutes' failed to satisfy constraint: Member must have value ` +
        (minutes < 1 ? 'greater than or equal to 1' : 'less than or equal to 1440'),
    );
  const { Arn = '', RoleArn: _role, Input, RetryPolicy, DeadLetterConfig, ...others } = Target ?? {};
  const [other] = Object.entries(others).find(([, value]) => value !== undefined) ?? [];
  if (other !== undefined) throw new NotInSandbox(`scheduler: ${other} of a target`);
  const kind = targetKind(Arn);
  if (kind === 'states' && Input !== undefined && !isJson(Input))
    throw new ApiError('ValidationException', `Invalid Input for target ${Arn}: it is not JSON.`);
  if (kind === 'sqs' && Input === undefined)
    throw new ApiError('ValidationException', `Input is required for target ${Arn}.`);
  checkRetryPolicy(RetryPolicy, DeadLetterConfig?.Arn);
  if (StartDate && EndDate && EndDate <= StartDate)
    throw new ApiError('ValidationException', 'The EndDate you specify must be later than the StartDate.');
  parseExpression(ScheduleExpression, zoneOf(definition), StartDate ?? now);
}
