import * as z from 'zod/mini';
import type { Check } from './checks';
import {
  InstanceAddress,
  MaybeOnRecoveryInstance,
  OnRecoveryInstance,
  Recovery,
  RecoveryEvent,
} from './recovery';
import { type MatchSettingsResult, TakenAway } from './restore';

/** From the fence to the application on the new instance. */

/**
 * Before the swap: nobody but this system may connect to the old database any more. Throws SessionsNotEnded until nobody
 * is connected either; the machine asks again.
 */
export const FenceEvent = RecoveryEvent;
export interface FenceResult {
  fenced: readonly string[];
  /** Databases of RDS itself, which nobody may change. */
  notFenced: readonly string[];
  checks: Check[];
  /** Transactions that were prepared and not committed: nobody can commit them behind the fence. */
  preparedTransactions: number;
}

export const SwapEvent = OnRecoveryInstance;
export interface SwapResult {
  versionId: string;
  previousVersionId: string;
}

export const ProveEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  /** The secret version that Swap made current. */
  versionId: z.string(),
});
export interface ProveResult {
  checks: Check[];
}

export const RestartConsumersEvent = z.extend(MaybeOnRecoveryInstance, {
  /** The secret version that Swap made current, and when, ISO 8601. */
  versionId: z.string(),
  swappedAt: z.string(),
});
export interface RestartConsumersResult {
  services: { cluster: string; service: string; deploymentId: string }[];
}

/** Throws ConsumersNotConnected until the application has a session on the new instance; the machine asks again. */
export const ProveConsumersEvent = OnRecoveryInstance;
export type ProveConsumersResult = { expected: false } | { expected: true; sessions: number };

/**
 * After the cutover: marks it as proven, with what exactly it took away, so that deployments can go on; then gives the new instance the
 * rest of the settings, once RDS takes changes. Throws SettingsNotMatched likewise.
 */
export const FinishSettingsEvent = z.object({
  recovery: Recovery,
  instance: InstanceAddress,
  /** What Verify found; null, or left out: not known, and what the restore points say stands. */
  quarantine: z.optional(z.nullable(z.array(TakenAway))),
});
export type FinishSettingsResult = MatchSettingsResult;
