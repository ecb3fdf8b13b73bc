import type { DBInstance } from '@aws-sdk/client-rds';
import type { EnvironmentName } from './contract';
import { readMarks } from './tags';

/**
 * The old instances that recoveries of this environment kept, and whose day is over: nothing deletes them but a person, so people
 * are told, in words. Whoever wants one for longer changes its tag.
 */
export function keptTooLong(
  instances: readonly DBInstance[],
  environment: EnvironmentName,
  now: Date,
): string[] {
  return instances.flatMap(({ DBInstanceIdentifier: id = '', TagList }) => {
    const { role, environment: its, 'keep-until': until } = readMarks(TagList);
    if (role !== 'retired' || its !== environment || until === undefined) return [];
    // A day that nobody can read is over.
    if (Date.parse(until) > now.getTime()) return [];
    return [
      `Instance ${id}, retired by a recovery, was to be kept until ${until}, and costs as much as a live one. ` +
        `Delete it as docs/runbook.md says, or give its tag migration-rollback:keep-until a later day.`,
    ];
  });
}
