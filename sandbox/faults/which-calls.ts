import { createHash } from 'node:crypto';
import type { ApiCall } from '../core/api';
import type { Fault } from './plan';

type At = Fault['at'];

/** Whether a fault's `at` means such a call, whatever its number. */
export function isAbout(at: At, { context, input }: ApiCall): boolean {
  const { service, operation, caller } = context;
  if (!['*', `${service}:*`, `${service}:${operation}`].includes(at.operation)) return false;
  if (at.by !== undefined) {
    const names = [caller.functionName, caller.arn, caller.via?.service, caller.via?.sourceArn];
    const { by } = at;
    if (!names.some((name) => name !== undefined && (fits(by, name) || fits(by, lastPart(name)))))
      return false;
  }
  return Object.entries(at.with ?? {}).every(([member, pattern]) => {
    const value = input[member];
    return value !== undefined && fits(pattern, typeof value === 'string' ? value : JSON.stringify(value));
  });
}

/** The same text for the same call made again: times of day, which differ from try to try, are left out. */
export function sameCallText({ context, input }: ApiCall): string {
  const { service, operation, caller } = context;
  const text = JSON.stringify([service, operation, caller.functionName ?? caller.arn, input]);
  // A digest: inputs hold passwords, and this is kept.
  return createHash('sha256')
    .update(text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, ''))
    .digest('hex');
}

/** `*` stands for anything. */
function fits(pattern: string, text: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's').test(text);
}

/** The name at the end of an ARN. */
export function lastPart(arn: string): string {
  return arn.slice(Math.max(arn.lastIndexOf('/'), arn.lastIndexOf(':')) + 1);
}
