import { randomUUID } from 'node:crypto';
import type { ResourceEvent } from '../deploy/resource';

/** What became of a stack through the API. Plain data. */
export interface StackHistory {
  readonly name: string;
  readonly createdAt: Date;
  status: StackStatus;
  reason: string | undefined;
  /** When it came to be so. */
  since: Date;
  /** Where no deployment has kept it yet. */
  terminationProtection: boolean;
  /** The last one first. */
  events: readonly StackEvent[];
}

export type StackStatus =
  | 'REVIEW_IN_PROGRESS'
  | `${'CREATE' | 'UPDATE'}_${'IN_PROGRESS' | 'COMPLETE'}`
  | `${'' | 'UPDATE_'}ROLLBACK_${'IN_PROGRESS' | 'COMPLETE' | 'FAILED'}`;

export interface StackEvent {
  readonly id: string;
  readonly at: Date;
  readonly logicalId: string;
  readonly physicalId: string | undefined;
  readonly type: string;
  readonly status: string;
  readonly reason: string | undefined;
  readonly token: string | undefined;
}

/** Whether something is being done with the stack. */
export function isUnderWay(status: StackStatus): boolean {
  return status.endsWith('_IN_PROGRESS') && status !== 'REVIEW_IN_PROGRESS';
}

/** Keeps what a stack has become, and tells of it. */
export function become(
  history: StackHistory,
  stackId: string,
  status: StackStatus,
  at: Date,
  { reason, token }: { readonly reason?: string; readonly token?: string | undefined } = {},
): void {
  history.status = status;
  history.reason = reason;
  history.since = at;
  const type = 'AWS::CloudFormation::Stack';
  tell(history, { logicalId: history.name, physicalId: stackId, type, status, reason, token, at });
}

/** Tells of a resource. */
export function tellOf(
  history: StackHistory,
  { logicalId, physicalId, type, status, reason }: ResourceEvent,
  at: Date,
  token: string | undefined,
): void {
  tell(history, { logicalId, physicalId, type, status, reason, token, at });
}

function tell(history: StackHistory, event: Omit<StackEvent, 'id'>): void {
  history.events = [{ id: randomUUID(), ...event }, ...history.events];
}
