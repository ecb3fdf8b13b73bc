import type { Check } from '../../lambdas/contract/checks';
import { isUp } from '../../lambdas/rds';
import type { Outcome } from './scenario';
import type { Stage } from './stage';

/**
 * What must be true after a recovery that failed, wherever it failed: the design's invariants. The recovery is free to have
 * swapped or not, to have kept its instance or not.
 */
export async function safeEnd(stage: Stage, { before, after, liveBefore, run }: Outcome): Promise<Check[]> {
  const live = await stage.live();
  const { DbiResourceId: oldResourceId, DBInstanceIdentifier: oldId = '' } = liveBefore.instance;
  const stayed = live.instance.DbiResourceId === oldResourceId;
  const oldInstance = (await stage.instances()).find(({ DbiResourceId }) => DbiResourceId === oldResourceId);
  const kept = (await stage.snapshots()).filter(
    ({ DbiResourceId, Status }) => DbiResourceId === oldResourceId && Status === 'available',
  );
  const { sns, faults } = stage.sandbox;
  const told = sns.messages.filter(({ message }) => message.includes(run.name));
  // Then the cause of the execution is all that there can be.
  const untellable = faults.fired().some(({ operation }) => operation === 'sns:Publish');
  return [
    {
      name: 'The recovery ended FAILED with its first error',
      ok: run.status === 'FAILED' && run.error !== undefined && run.cause !== undefined,
      detail: `${run.status}, ${run.error ?? 'no error'}: ${run.cause ?? 'no cause'}`,
    },
    {
      name: 'People were told the same',
      // What is too long for a phone is in the cause only.
      ok: untellable || told.some(({ message }) => (run.cause ?? '').includes(whatIsTheCase(message))),
      detail: `${told.length} messages about ${run.name}`,
    },
    {
      name: 'DATABASE_URL names a database that is up and lets the application in',
      ok: isUp(live.instance.DBInstanceStatus) && after.rows > 0,
      detail: `${live.instance.DBInstanceIdentifier ?? ''}, ${live.instance.DBInstanceStatus ?? ''}`,
    },
    {
      name: 'Its data is that of the old instance, or of the restore point',
      ok: stayed ? live.versionId === liveBefore.versionId : after.digest === before.digest,
      detail: stayed ? 'it is the old instance' : `${after.rows} of ${before.rows} rows`,
    },
    {
      name: 'The old instance is there, or what was in it is',
      ok: oldInstance !== undefined || (!stayed && kept.length > 0),
      detail: oldInstance
        ? `${oldId} is ${oldInstance.DBInstanceStatus ?? ''}`
        : kept.map(({ DBSnapshotIdentifier }) => DBSnapshotIdentifier).join(', ') || 'nothing is left of it',
    },
  ];
}

/** The first line of a message, without the environment. */
function whatIsTheCase(message: string): string {
  return message
    .split('\n', 1)
    .join()
    .replace(/^\w+: (drill: |undo: )?/, '');
}
