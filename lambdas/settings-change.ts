import {
  AddTagsToResourceCommand,
  ModifyDBInstanceCommand,
  type DBInstance,
  type ModifyDBInstanceMessage,
  type RDSClient,
} from '@aws-sdk/client-rds';
import type { InstanceAddress, Recovery } from './contract/recovery';
import { RestoreFailed, SettingsCannotMatch, SettingsNotMatched, isAwsError } from './errors';
import { findInstance, isTerminal, unfinished } from './rds';
import { readMarks, writeMarks, type Marks } from './tags';

/** What MatchSettings and FinishSettings share: the new instance, and asking RDS for a change of the new one. */

/** How long RDS is asked again for settings that are not worth failing for. Changes are seen within minutes. */
const PATIENCE_MS = 20 * 60_000;

/** The recovery instance, by its tags. Throws SettingsCannotMatch, RestoreFailed. */
export async function ownInstance(
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
  return own;
}

/** Throws SettingsNotMatched until the instance is up, with nothing under way. */
export function requireSettled(own: DBInstance): void {
  const open = unfinished(own);
  if (open.length > 0)
    throw new SettingsNotMatched(`Instance ${own.DBInstanceIdentifier ?? ''}: ${open.join('; ')}.`, 'Wait.');
}

/**
 * When this recovery first asked for a change. An instance that an undo takes back may have the mark of the recovery that made it:
 * that one's patience is not this one's.
 */
export function askedSince(
  own: DBInstance,
  name: 'settings-asked-at' | 'rest-asked-at',
  { execution }: Recovery,
): string | undefined {
  const since = readMarks(own.TagList)[name];
  return since !== undefined && Date.parse(since) >= Date.parse(execution.startTime) ? since : undefined;
}

/** Whether asking for what is not worth failing for has gone on for long enough. */
export function askedFor(since: string | undefined, now: Date): 'not long' | 'long enough' {
  return since !== undefined && now.getTime() - Date.parse(since) > PATIENCE_MS ? 'long enough' : 'not long';
}

/**
 * Asks RDS for changes, then throws SettingsNotMatched: what comes of them is seen at the next call. `marks` are written when
 * RDS has taken the changes, not before: a function that dies in between asks for the same again.
 */
export async function change(
  rds: RDSClient,
  own: DBInstance,
  changes: Partial<ModifyDBInstanceMessage>,
  marks: Marks,
): Promise<never> {
  const id = own.DBInstanceIdentifier ?? '';
  const wanted = Object.entries(changes)
    .map(([name, value]) => (name === 'MasterUserPassword' ? name : `${name} ${JSON.stringify(value)}`))
    .join(', ');
  await notYetWhenBusy(`${id} still lacks: ${wanted}`, () =>
    rds.send(new ModifyDBInstanceCommand({ ...changes, DBInstanceIdentifier: id, ApplyImmediately: true })),
  );
  await mark(rds, own, marks);
  throw new SettingsNotMatched(`Instance ${id} was asked for: ${wanted}.`, 'Wait.');
}

/** Writes those of the marks that the instance did not have when it was looked at. */
export async function mark(rds: RDSClient, own: DBInstance, marks: Marks): Promise<void> {
  const has = new Map(Object.entries(readMarks(own.TagList)));
  const missing = Object.fromEntries(
    Object.entries(marks).filter(([name, value]) => has.get(name) !== value),
  );
  if (Object.keys(missing).length > 0)
    await rds.send(
      new AddTagsToResourceCommand({ ResourceName: own.DBInstanceArn, Tags: writeMarks(missing) }),
    );
}

/** RDS takes no change of an instance that it backs up or changes. */
export async function notYetWhenBusy(fact: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (error) {
    if (isAwsError(error, 'InvalidDBInstanceStateFault', 'InvalidDBInstanceState'))
      throw new SettingsNotMatched(`${fact}. RDS takes no change of the instance now.`, 'Wait.', {
        cause: error,
      });
    throw error;
  }
}
