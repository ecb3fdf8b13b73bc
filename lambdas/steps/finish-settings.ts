import type { RDSClient } from '@aws-sdk/client-rds';
import type * as z from 'zod/mini';
import type { SecretDeps } from '../claim';
import type { FinishSettingsEvent, FinishSettingsResult } from '../contract/cutover';
import { compareSettings, settingsToModify } from '../instance-settings';
import { settingsOf } from '../live-instance';
import { markCutoverProven } from '../proven-cutover';
import { refuseIfOvertaken } from '../overtaken';
import { askedFor, askedSince, change, ownInstance, requireSettled } from '../settings-change';

/**
 * After the cutover: marks it as proven, so that deployments can go on, and gives the instance that is live now the settings that serving did not need, deletion protection among
 * them. It asks for nothing that interrupts the application. Throws SettingsNotMatched until nothing differs, which may take as
 * long as the first backup: the message says what is missing. Throws RecoveryOvertaken.
 */
export async function finishSettings(
  { recovery, instance, quarantine }: z.output<typeof FinishSettingsEvent>,
  deps: SecretDeps & { rds: RDSClient; now: () => Date },
): Promise<FinishSettingsResult> {
  const { rds } = deps;
  await refuseIfOvertaken(recovery, [instance], deps);
  const own = await ownInstance(rds, recovery, instance);
  await markCutoverProven(rds, own, recovery.id, quarantine ?? undefined);
  const old = await settingsOf(rds, recovery);
  requireSettled(own);
  const since = askedSince(own, 'rest-asked-at', recovery);
  const now = deps.now();
  const { changes } = settingsToModify(old, own, 'the rest', askedFor(since, now));
  if (Object.keys(changes).length > 0)
    await change(rds, own, changes, { 'rest-asked-at': since ?? now.toISOString() });
  return { settings: compareSettings(old, own, 'all') };
}
