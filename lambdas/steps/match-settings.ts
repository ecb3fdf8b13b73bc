import { RebootDBInstanceCommand, type DBInstance, type RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { InstanceAddress, Recovery } from '../contract/recovery';
import type { MatchSettingsResult } from '../contract/restore';
import { SettingsCannotMatch, SettingsNotMatched } from '../errors';
import { compareSettings, requireExplained, settingsToModify } from '../instance-settings';
import { settingsOf } from '../live-instance';
import {
  askedFor,
  askedSince,
  change,
  mark,
  notYetWhenBusy,
  ownInstance,
  requireSettled,
} from '../settings-change';
import { currentSecret, readMasterCredentials } from '../secrets';
import { readMarks } from '../tags';

interface MatchSettingsDeps {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly masterSecretId: string;
  readonly now: () => Date;
}

/**
 * Makes what the recovery instance needs to serve that of the live instance; the restore was told most of it, so mostly nothing
 * is left to do and nothing to wait for. FinishSettings sets the rest. Where no known password lets the master user in, RDS
 * sets the current one. Every call does what can be done now and throws SettingsNotMatched until nothing differs.
 */
export async function matchSettings(
  event: { recovery: Recovery; instance: InstanceAddress; masterUserKnown: boolean },
  deps: MatchSettingsDeps,
): Promise<MatchSettingsResult> {
  const { rds } = deps;
  const live = await settingsOf(rds, event.recovery);
  const own = await ownInstance(rds, event.recovery, event.instance);
  requireSettled(own);
  const id = event.instance.instanceId;

  const since = askedSince(own, 'settings-asked-at', event.recovery);
  const now = deps.now();
  const { changes, impossible } = settingsToModify(live, own, 'to serve', askedFor(since, now));
  if (impossible.length > 0)
    throw new SettingsCannotMatch(
      `Settings of ${id} differ from ${event.recovery.live.instanceId} and cannot be changed: ${impossible.join(', ')}.`,
      'Were they changed on the live instance during the recovery? Start a new one.',
    );
  const password = event.masterUserKnown ? undefined : await passwordToSet(own, deps);
  if (Object.keys(changes).length > 0 || password) {
    // Before it is asked for: what is not worth failing for is not worth waiting for the end of a backup either.
    await mark(rds, own, { 'settings-asked-at': since ?? now.toISOString() });
    await change(
      rds,
      own,
      { ...changes, ...(password && { MasterUserPassword: password.value }) },
      password ? { 'master-password-version': password.versionId } : {},
    );
  }
  if (own.DBParameterGroups?.some((group) => group.ParameterApplyStatus === 'pending-reboot')) {
    await notYetWhenBusy(`The parameter group of ${id} waits for a restart`, () =>
      rds.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: id })),
    );
    throw new SettingsNotMatched(`Instance ${id} restarts for its parameter group.`, 'Wait.');
  }
  const settings = compareSettings(live, own, 'to serve');
  requireExplained(id, settings);
  return { settings };
}

/** The current password of the master user, unless it is the one that was set last. */
async function passwordToSet(
  own: DBInstance,
  { secrets, masterSecretId }: MatchSettingsDeps,
): Promise<{ value: string; versionId: string } | undefined> {
  const { value, versionId } = await currentSecret(secrets, masterSecretId);
  if (readMarks(own.TagList)['master-password-version'] === versionId) return undefined;
  const { username, password } = readMasterCredentials(value);
  if (own.MasterUsername !== undefined && own.MasterUsername !== username)
    throw new SettingsCannotMatch(
      `The master user of ${own.DBInstanceIdentifier ?? ''} is "${own.MasterUsername}", the master secret is for "${username}".`,
      'Give the rollback stack the secret of this database.',
    );
  return { value: password, versionId };
}
