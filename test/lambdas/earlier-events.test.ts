import * as z from 'zod/mini';
import { CleanUpEvent } from '../../lambdas/contract/clean-up';
import {
  FenceEvent,
  FinishSettingsEvent,
  ProveConsumersEvent,
  ProveEvent,
  RestartConsumersEvent,
  SwapEvent,
} from '../../lambdas/contract/cutover';
import { EndDrillEvent } from '../../lambdas/contract/drill';
import { FUNCTIONS, type FunctionName } from '../../lambdas/contract/functions';
import { PlanEvent } from '../../lambdas/contract/plan';
import type { Recovery } from '../../lambdas/contract/recovery';
import { FinishRenameEvent, RenameEvent } from '../../lambdas/contract/rename';
import {
  CheckRestoredInstanceEvent,
  HydrateEvent,
  MatchCredentialsEvent,
  MatchSettingsEvent,
  RecordPositionEvent,
  StartRestoreEvent,
  TakeBackEvent,
  TakeSafetySnapshotEvent,
  VerifyEvent,
  WarmEvent,
} from '../../lambdas/contract/restore';
import { DrainEvent, RetireEvent, SoakEvent } from '../../lambdas/contract/retirement';
import {
  DiscardEvent,
  FailEvent,
  GiveBackEvent,
  LiftFenceEvent,
  SwapBackEvent,
} from '../../lambdas/contract/way-back';

/**
 * A redrive runs the machine as it was when the execution started, with the functions of now; so does an execution that is under way during a
 * deployment. Here is what each function was sent by earlier versions of the machine. What is sent from now on is added, nothing is changed.
 */
const instance = { instanceId: 'orders-rec-0123456789', resourceId: 'db-NEW', host: 'new', port: 5432 };
const recovery: Recovery = {
  id: '0123456789',
  execution: {
    arn: 'arn:aws:states:eu-central-1:123456789012:execution:m:e',
    startTime: '2026-11-22T02:00:00Z',
  },
  environment: 'production',
  mode: 'recover',
  reason: 'a test',
  requestedBy: 'ada',
  retire: 'delete',
  keepDays: 14,
  verify: { amcheck: false, accept: [] },
  approveCutover: false,
  approveRetirement: false,
  warm: null,
  soakMinutes: 0,
  soakAlarms: [],
  live: { instanceId: 'orders', resourceId: 'db-LIVE', host: 'old', port: 5432, state: 'there' },
  settingsSnapshotId: null,
  secretVersionId: 'version-1',
  restorePoint: { kind: 'time', time: '2026-11-22T01:00:00Z', pendingMigrations: null },
  recoveryInstanceId: instance.instanceId,
  safetySnapshotId: 'orders-safety-0123456789',
  finalSnapshotId: 'orders-final-0123456789',
};
/** Of before a plan knew of these. */
const {
  keepDays: _days,
  verify: _verify,
  warm: _warm,
  soakMinutes: _minutes,
  soakAlarms: _alarms,
  ...shorter
} = recovery;
const moment = '2026-11-22T02:00:00.000Z';

type Step = Exclude<FunctionName, 'pre-migration-snapshot' | 'decide'>;
const EARLIER: Readonly<Record<Step, readonly [z.ZodMiniType, ...object[]]>> = {
  plan: [PlanEvent, { execution: { ...recovery.execution, name: 'e' }, input: {} }],
  'start-restore': [StartRestoreEvent, { recovery }, { recovery: shorter }],
  'take-safety-snapshot': [TakeSafetySnapshotEvent, { recovery }],
  'take-back': [TakeBackEvent, { recovery }],
  'give-back': [GiveBackEvent, { recovery }],
  'check-restored-instance': [CheckRestoredInstanceEvent, { recovery }],
  'record-position': [RecordPositionEvent, { recovery, instance }],
  'match-settings': [MatchSettingsEvent, { recovery, instance, masterUserKnown: true }],
  'match-credentials': [MatchCredentialsEvent, { recovery, instance }],
  verify: [VerifyEvent, { recovery, instance }],
  'end-drill': [
    EndDrillEvent,
    { recovery, restoredAt: moment, verifiedAt: moment, checks: { passed: 13, notPassed: 0 } },
  ],
  warm: [WarmEvent, { recovery, instance, warmth: null }],
  hydrate: [HydrateEvent, { recovery }],
  fence: [FenceEvent, { recovery }],
  swap: [SwapEvent, { recovery, instance }],
  prove: [ProveEvent, { recovery, instance, versionId: 'version-2' }],
  'restart-consumers': [
    RestartConsumersEvent,
    { recovery, versionId: 'version-2', swappedAt: moment },
    { recovery, instance, versionId: 'version-2', swappedAt: moment },
  ],
  'prove-consumers': [ProveConsumersEvent, { recovery, instance }],
  'finish-settings': [FinishSettingsEvent, { recovery, instance }, { recovery, instance, quarantine: null }],
  'swap-back': [SwapBackEvent, { recovery }],
  'lift-fence': [LiftFenceEvent, { recovery }],
  drain: [DrainEvent, { recovery }, { recovery, instance }],
  soak: [SoakEvent, { recovery, instance, sessionsExpected: true, alarms: { seen: [] }, soak: null }],
  retire: [RetireEvent, { recovery, drainedAt: moment }, { recovery, drainedAt: null }],
  discard: [DiscardEvent, { recovery }],
  'clean-up': [CleanUpEvent, { recovery }],
  rename: [RenameEvent, { recovery }],
  'finish-rename': [FinishRenameEvent, { recovery, instance, askedAt: moment, backAt: moment }],
  fail: [FailEvent, { error: 'E', cause: 'c', goesOnWith: 'Retire', redrives: { then: 0, now: 1 } }],
};

test.each(Object.entries(EARLIER))('%s takes what earlier machines send', (_name, [schema, ...sent]) => {
  for (const event of sent)
    expect({ event, ...z.safeParse(schema, event) }).toMatchObject({ event, success: true });
});

test('these are all steps of the machine', () => {
  const steps = FUNCTIONS.filter((name) => name !== 'pre-migration-snapshot' && name !== 'decide');
  expect(Object.keys(EARLIER).sort()).toEqual([...steps].sort());
});
