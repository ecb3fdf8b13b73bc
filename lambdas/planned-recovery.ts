import { KEEP_DAYS, type Recovery } from './contract/recovery';
import { RecoveryInput } from './contract/recovery-input';
import type { EnvironmentName } from './contract/settings';
import { finalSnapshotId, recoveryId, recoveryInstanceId, safetySnapshotId } from './names';
import { parse } from './parse';

/** Who asks for what, and the id that it gets. */
export interface Asked {
  readonly execution: Recovery['execution'];
  readonly input: RecoveryInput;
  readonly id: string;
}

/** @throws InvalidInput */
export function readAsked({
  execution,
  input = {},
}: {
  readonly execution: Recovery['execution'] & { readonly name: string };
  readonly input?: unknown;
}): Asked {
  return {
    execution: { arn: execution.arn, startTime: execution.startTime },
    input: parse(RecoveryInput, input, 'input of the recovery'),
    id: recoveryId(execution),
  };
}

/**
 * What a recovery is, whatever its mode, before that adds what it is for: nothing is restored, nobody is asked, nothing is watched or
 * deleted. The names are those of what a recovery of this id would make.
 */
export function plannedRecovery(
  { execution, input, id }: Asked,
  environment: EnvironmentName,
  database: Pick<Recovery, 'live' | 'settingsSnapshotId' | 'secretVersionId'>,
): Recovery {
  const { live, settingsSnapshotId, secretVersionId } = database;
  return {
    id,
    execution,
    environment,
    mode: input.mode,
    reason: input.reason ?? null,
    requestedBy: input.requestedBy ?? null,
    retire: 'keep',
    keepDays: input.keepDays ?? KEEP_DAYS,
    verify: input.verify,
    approveCutover: false,
    approveRetirement: false,
    warm: null,
    soakMinutes: 0,
    soakAlarms: [],
    live,
    settingsSnapshotId,
    secretVersionId,
    restorePoint: { kind: 'time', time: execution.startTime, pendingMigrations: null },
    recoveryInstanceId: recoveryInstanceId(live.instanceId, id),
    safetySnapshotId: safetySnapshotId(live.instanceId, id),
    finalSnapshotId: finalSnapshotId(live.instanceId, id),
  };
}
