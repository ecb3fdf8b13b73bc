import type { DBInstance, Tag } from '@aws-sdk/client-rds';
import type { InstanceAddress } from './contract/recovery';
import { isSameHost } from './database-url';
import { LiveInstanceUnclear } from './errors';
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
export function renameMarks({ TagList }: DBInstance, { instanceId, host }: InstanceAddress, at: Date): Tag[] {
  return writeMarks({
    'renamed-from': instanceId,
    'renamed-from-host': host,
    'rename-asked-at': at.toISOString(),
    'rename-of': madeLiveBy(TagList),
  });
}

export const RENAME_MARKS = ['renamed-from', 'renamed-from-host', 'rename-asked-at', 'rename-of'] as const;

/**
 * The recovery by which it came to serve. Whatever replaces the instance, or takes it back, writes its own id over that, and restarts
 * the application itself: so nothing of a rename before it is missing any more, and its marks mean nothing.
 */
function madeLiveBy(tags: readonly Tag[] | undefined): string {
  return readMarks(tags)['recovery-id'] ?? 'none';
}

/**
 * The rename of an instance that was begun and has not come to its end. Undefined where it still has the name that it had when RDS was
 * asked, and RDS does nothing about it.
 */
export function begunRename(instance: DBInstance): BegunRename | undefined {
  const marks = readMarks(instance.TagList);
  const { 'renamed-from': instanceId, 'renamed-from-host': host, 'rename-asked-at': askedAt } = marks;
  if (instanceId === undefined || host === undefined || askedAt === undefined) return undefined;
  if (marks['rename-of'] !== madeLiveBy(instance.TagList)) return undefined;
  const wasAsked =
    instance.DBInstanceIdentifier !== instanceId ||
    instance.DBInstanceStatus === 'renaming' ||
    instance.PendingModifiedValues?.DBInstanceIdentifier !== undefined;
  return wasAsked ? { instance, from: { instanceId, host }, askedAt } : undefined;
}

/** That of the instance that the secret names: by an address that is gone, or by the new one, where the end is missing. */
export function findBegunRename(instances: readonly DBInstance[], host: string): BegunRename | undefined {
  return instances
    .flatMap((instance) => begunRename(instance) ?? [])
    .find(({ from, instance }) =>
      [from.host, instance.Endpoint?.Address].some((one) => one !== undefined && isSameHost(one, host)),
    );
}

const WHAT_NOW = `Wait while an execution renames it. If none runs, redrive that execution, or start the machine with ${JSON.stringify(INPUT_TO_RENAME)}: it goes on from what is there.`;

/** What a person reads, and does, who finds the secret naming the address that is gone. */
export function noAddressYet({ instance, from, askedAt }: BegunRename): LiveInstanceUnclear {
  return new LiveInstanceUnclear(
    `The secret names ${from.host}, the address of instance ${from.instanceId} until RDS was asked to rename it at ${askedAt}. It is "${instance.DBInstanceStatus ?? 'unknown'}" now, as ${instance.DBInstanceIdentifier ?? ''}: THE APPLICATION HAS NO DATABASE.`,
    WHAT_NOW,
  );
}

/** Of the live instance under its new name and address. */
export function refuseUntilRenamed(instances: readonly DBInstance[], host: string): void {
  const rename = findBegunRename(instances, host);
  if (!rename) return;
  const { instance, from, askedAt } = rename;
  throw new LiveInstanceUnclear(
    `Instance ${instance.DBInstanceIdentifier ?? ''} was ${from.instanceId} until ${askedAt}, and its rename has not come to its end: the application may not have been restarted.`,
    WHAT_NOW,
  );
}
