import type * as z from 'zod/mini';
import type { SecretDeps } from '../claim';
import type { DrainEvent, DrainResult } from '../contract/retirement';
import { StillConnected } from '../errors';
import { refuseIfOvertaken } from '../overtaken';
import { describeSessions, onOldServer, sessionsOfOthers } from '../old-server';

/**
 * Looks who is connected to the old instance, this system and RDS itself left out. Throws StillConnected while anybody is,
 * OldInstanceUnreachable when it cannot be asked: nobody is assumed gone, RecoveryOvertaken.
 */
export async function drain(
  { recovery, instance }: z.output<typeof DrainEvent>,
  deps: SecretDeps & { masterSecretId: string; now: () => Date },
): Promise<DrainResult> {
  const { live } = recovery;
  await refuseIfOvertaken(recovery, instance ? [instance] : [], deps);
  // Before it is looked at: it is never taken for later than it was.
  const at = deps.now().toISOString();
  // Fence has seen that nothing takes connections there.
  if (live.state !== 'there') return { sessions: 0, at };
  const sessions = await onOldServer(live, deps, sessionsOfOthers);
  if (sessions.length > 0)
    throw new StillConnected(
      `Still connected to ${live.instanceId}: ${describeSessions(sessions)}.`,
      'Restart what still runs with the old DATABASE_URL.',
    );
  return { sessions: 0, at };
}
