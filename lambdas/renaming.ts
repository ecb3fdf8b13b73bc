import type { DBInstance } from '@aws-sdk/client-rds';
import type { CheckMigrationsResult } from './contract/gate';
import type { EnvironmentName } from './contract/settings';
import { RenameRefused, toRollbackError } from './errors';
import { originalName } from './names';
import { addressOf, unfinished } from './rds';
import { readMarks } from './tags';

/**
 * The name that an instance had before any recovery, if it is another one. Throws RenameRefused where that is not certain, and where a
 * stack has made the present one its own.
 */
export function nameBefore(instance: DBInstance): string | undefined {
  const id = instance.DBInstanceIdentifier ?? '';
  const stack = instance.TagList?.find(({ Key }) => Key === 'aws:cloudformation:stack-name')?.Value;
  if (stack !== undefined)
    throw new RenameRefused(
      `The stack ${stack} has adopted instance ${id} under this name, and would not find it under another.`,
      'Nothing is left to do: CloudFormation is true.',
    );
  const name = originalName(id, readMarks(instance.TagList)['base-name']);
  if (name === undefined)
    throw new RenameRefused(
      `The name of ${id} was cut off when it was made: what it was called before any recovery is not certain.`,
      'Let the stack adopt it instead: npm run adopt.',
    );
  return name === id ? undefined : name;
}

/**
 * Throws RenameRefused where the live instance must not be renamed now: in doubt it is left as it is, since a rename cannot be taken
 * back by itself.
 */
export function refuseRename(
  instance: DBInstance,
  to: string,
  instances: readonly DBInstance[],
  environment: EnvironmentName,
): void {
  const id = instance.DBInstanceIdentifier ?? '';
  const owner = instances.find(({ DBInstanceIdentifier }) => DBInstanceIdentifier === to);
  if (owner) throw nameInUse(owner, to);
  const marks = readMarks(instance.TagList);
  if (marks.role !== 'live' || marks.environment !== environment)
    throw new RenameRefused(
      `Instance ${id} is tagged "${marks.role ?? 'nothing'}", not as live: its recovery has not come to its end.`,
      'Redrive that recovery, or undo it; then rename.',
    );
  const replicas = instance.ReadReplicaDBInstanceIdentifiers ?? [];
  if (replicas.length > 0 || instance.ReadReplicaSourceDBInstanceIdentifier)
    throw new RenameRefused(
      `Instance ${id} has read replicas, or is one: ${[...replicas, instance.ReadReplicaSourceDBInstanceIdentifier ?? ''].join(' ')}.`,
      'How they stand a rename was not tried. Delete them before, or let the stack adopt the instance: npm run adopt.',
    );
  const busy = [
    ...(instance.DBInstanceStatus === 'available'
      ? []
      : [`it is "${instance.DBInstanceStatus ?? 'unknown'}"`]),
    ...unfinished(instance),
    ...(instance.DBParameterGroups ?? [])
      .filter(({ ParameterApplyStatus }) => ParameterApplyStatus === 'pending-reboot')
      .map(({ DBParameterGroupName: name = '' }) => `parameter group ${name} waits for a restart`),
  ];
  if (busy.length > 0 || !addressOf(instance))
    throw new RenameRefused(
      `Instance ${id} cannot be renamed now: ${busy.join('; ') || 'it has no endpoint'}.`,
      'A rename restarts it. Wait until nothing is under way, then ask again.',
    );
}

export function nameInUse(owner: DBInstance, to: string): RenameRefused {
  const { role } = readMarks(owner.TagList);
  return new RenameRefused(
    `The name ${to} is in use, by an instance that is "${owner.DBInstanceStatus ?? 'unknown'}"${role ? ` and tagged ${role}` : ''} (${owner.DbiResourceId ?? ''}).`,
    owner.DBInstanceStatus === 'deleting'
      ? 'Wait until it is gone, then ask again.'
      : `Delete it, with a final snapshot (docs/runbook.md), when nobody wants to go back to it any more. Or let it be, and let the stack adopt the live one: npm run adopt.`,
  );
}

/** A migration would be torn apart. Throws RenameRefused while one runs, and where the database cannot be asked. */
export async function refuseWhileMigrating(
  checkMigrations: (event: { migrations: null; schema: null }) => Promise<CheckMigrationsResult>,
): Promise<void> {
  const { lockHolders } = await checkMigrations({ migrations: null, schema: null }).catch(
    (thrown: unknown) => {
      const error = toRollbackError(thrown);
      throw new RenameRefused(
        `Whether a migration runs is not known: ${error.fact}`,
        'Mend that, then ask again.',
        { cause: thrown },
      );
    },
  );
  const [holder] = lockHolders.filter(({ stale }) => !stale);
  if (holder)
    throw new RenameRefused(
      `A migration runs: ${holder.session} holds Prisma's lock.`,
      'Wait for its end, then ask again.',
    );
}
