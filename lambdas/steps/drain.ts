import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { DrainResult, Recovery } from '../contract';
import { StillConnected } from '../errors';
import { describeSessions, onOldServer, sessionsOfOthers } from '../old-server';

/**
 * Looks who is connected to the old instance, this system and RDS itself left out. Throws StillConnected while anybody is,
 * OldInstanceUnreachable when it cannot be asked: nobody is assumed gone.
 */
export async function drain(
  { recovery }: { recovery: Recovery },
  deps: { secrets: SecretsManagerClient; masterSecretId: string; now: () => Date },
): Promise<DrainResult> {
  const { live } = recovery;
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
