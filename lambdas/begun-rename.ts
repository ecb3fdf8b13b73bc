import type { DBInstance, Tag } from '@aws-sdk/client-rds';
import type { InstanceAddress } from './contract';
import { readMarks, writeMarks } from './tags';

/** What RDS documents of a rename, from the call until the new address is effective. */
export const DOCUMENTED_OUTAGE_MINUTES = 10;

/** The input that a person completes. */
export const INPUT_TO_RENAME = { mode: 'rename', reason: 'why it is renamed now', requestedBy: 'your name' };

/** A rename that RDS was asked for, by the tags of the instance; it is over when the application is back. */
export interface BegunRename {
  readonly instance: DBInstance;
  /** As it was before. */
  readonly from: { readonly instanceId: string; readonly host: string };
  /** ISO 8601. */
  readonly askedAt: string;
}

/** Put on the instance before RDS is asked, since afterwards nothing says which instance the secret means. */
export function renameMarks({ instanceId, host }: InstanceAddress, at: Date): Tag[] {
  return writeMarks({
    'renamed-from': instanceId,
    'renamed-from-host': host,
    'rename-asked-at': at.toISOString(),
  });
}

export const RENAME_MARKS = ['renamed-from', 'renamed-from-host', 'rename-asked-at'] as const;

export function readRename(instance: DBInstance): BegunRename | undefined {
  const marks = readMarks(instance.TagList);
  const { 'renamed-from': instanceId, 'renamed-from-host': host, 'rename-asked-at': askedAt } = marks;
  return instanceId === undefined || host === undefined || askedAt === undefined
    ? undefined
    : { instance, from: { instanceId, host }, askedAt };
}

/**
 * The rename that was begun of the instance that the secret names: by an address that is gone, or by the new one, where the end is
 * missing. Undefined where the instance still has the name that it had when RDS was asked, and RDS does nothing about it.
 */
export function findBegunRename(instances: readonly DBInstance[], host: string): BegunRename | undefined {
  const named = host.toLowerCase().replace(/\.$/, '');
  return instances
    .flatMap((instance) => readRename(instance) ?? [])
    .find(
      (rename) =>
        [rename.from.host, rename.instance.Endpoint?.Address].some((one) => one?.toLowerCase() === named) &&
        wasAsked(rename),
    );
}

/** Whether RDS has renamed it, or is about to. */
export function wasAsked({ instance, from }: BegunRename): boolean {
  return (
    instance.DBInstanceIdentifier !== from.instanceId ||
    instance.DBInstanceStatus === 'renaming' ||
    instance.PendingModifiedValues?.DBInstanceIdentifier !== undefined
  );
}
