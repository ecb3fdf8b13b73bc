import {
  AddTagsToResourceCommand,
  ModifyDBInstanceCommand,
  RebootDBInstanceCommand,
  type DBInstance,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { InstanceAddress, MatchSettingsResult, Recovery } from '../contract';
import {
  LiveInstanceUnclear,
  RestoreFailed,
  SettingsCannotMatch,
  SettingsNotMatched,
  isAwsError,
} from '../errors';
import { compareSettings, settingsToModify } from '../instance-settings';
import { findInstance, isTerminal, isUp, unfinished } from '../rds';
import { currentSecret, readMasterCredentials } from '../secrets';
import { readMarks, writeMarks } from '../tags';

/** How long RDS is asked again for settings that are not worth failing for. Changes are seen within minutes. */
const PATIENCE_MS = 20 * 60_000;

/**
 * Makes the recovery instance's settings and master password those of the live instance. Every call does what can be done
 * now and throws SettingsNotMatched until nothing differs.
 */
export async function matchSettings(
  { recovery, instance }: { recovery: Recovery; instance: InstanceAddress },
  deps: { rds: RDSClient; secrets: SecretsManagerClient; masterSecretId: string; now: () => Date },
): Promise<MatchSettingsResult> {
  const { rds, secrets, masterSecretId } = deps;
  const live = await findInstance(rds, recovery.live.instanceId);
  if (!live || live.DbiResourceId !== recovery.live.resourceId)
    throw new LiveInstanceUnclear(
      `Instance ${recovery.live.instanceId} is not there any more, so its settings cannot be read.`,
      'Start a new recovery.',
    );
  const own = await ownInstance(rds, recovery, instance);

  const open = unfinished(own);
  if (open.length > 0)
    throw new SettingsNotMatched(`Instance ${instance.instanceId}: ${open.join('; ')}.`, 'Wait.');

  const master = await currentSecret(secrets, masterSecretId);
  const marks = readMarks(own.TagList);
  const passwordIsSet = marks['master-password-version'] === master.versionId;
  const askedAt = marks['settings-asked-at'] ?? deps.now().toISOString();
  const asked = deps.now().getTime() - new Date(askedAt).getTime() > PATIENCE_MS ? 'long enough' : 'not long';
  const { changes, impossible } = settingsToModify(live, own, asked);
  if (impossible.length > 0)
    throw new SettingsCannotMatch(
      `Settings of ${instance.instanceId} differ from ${recovery.live.instanceId} and cannot be changed: ${impossible.join(', ')}.`,
      'Were they changed on the live instance during the recovery? Start a new one.',
    );
  if (Object.keys(changes).length > 0 || !passwordIsSet) {
    const { username, password } = readMasterCredentials(master.value);
    if (own.MasterUsername !== undefined && own.MasterUsername !== username)
      throw new SettingsCannotMatch(
        `The master user of ${instance.instanceId} is "${own.MasterUsername}", the master secret is for "${username}".`,
        'Give the rollback stack the secret of this database.',
      );
    await notYetWhenBusy(() =>
      rds.send(
        new ModifyDBInstanceCommand({
          ...changes,
          DBInstanceIdentifier: instance.instanceId,
          ApplyImmediately: true,
          ...(passwordIsSet ? {} : { MasterUserPassword: password }),
        }),
      ),
    );
    // After the change, not before: a function that dies in between sets the same password again.
    if (!passwordIsSet)
      await rds.send(
        new AddTagsToResourceCommand({
          ResourceName: own.DBInstanceArn,
          Tags: writeMarks({ 'master-password-version': master.versionId, 'settings-asked-at': askedAt }),
        }),
      );
    throw new SettingsNotMatched(
      `Instance ${instance.instanceId} was asked to change ${[...Object.keys(changes), ...(passwordIsSet ? [] : ['the master password'])].join(', ')}.`,
      'Wait.',
    );
  }
  if (own.DBParameterGroups?.some((group) => group.ParameterApplyStatus === 'pending-reboot')) {
    await notYetWhenBusy(() =>
      rds.send(new RebootDBInstanceCommand({ DBInstanceIdentifier: instance.instanceId })),
    );
    throw new SettingsNotMatched(
      `Instance ${instance.instanceId} restarts for its parameter group.`,
      'Wait.',
    );
  }
  return { settings: compareSettings(live, own) };
}

async function ownInstance(
  rds: RDSClient,
  recovery: Recovery,
  { instanceId }: InstanceAddress,
): Promise<DBInstance> {
  const own = await findInstance(rds, instanceId);
  if (own && readMarks(own.TagList)['recovery-id'] !== recovery.id)
    throw new SettingsCannotMatch(
      `Instance ${instanceId} does not carry the tags of recovery ${recovery.id}.`,
      'Nothing is changed on an instance that this recovery did not make.',
    );
  if (!own || isTerminal(own.DBInstanceStatus))
    throw new RestoreFailed(
      `Instance ${instanceId} is ${own?.DBInstanceStatus ?? 'gone'}.`,
      'Its events in the RDS console say why.',
    );
  if (!isUp(own.DBInstanceStatus))
    throw new SettingsNotMatched(
      `Instance ${instanceId} is "${own.DBInstanceStatus ?? 'unknown'}".`,
      'Wait.',
    );
  return own;
}

async function notYetWhenBusy(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (isAwsError(error, 'InvalidDBInstanceStateFault', 'InvalidDBInstanceState'))
      throw new SettingsNotMatched('RDS takes no change of the instance now.', 'Wait.', { cause: error });
    throw error;
  }
}
