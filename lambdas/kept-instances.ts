import type { DBInstance } from '@aws-sdk/client-rds';
import type { EnvironmentName } from './contract/settings';
import { readMarks } from './tags';

/**
 * The old instances of this environment whose day is over, whether a recovery or a person wrote it: nothing deletes them but a person, so
 * people are told, in words. Whoever wants one for longer changes its tag. What is live, or on its way back to it, is nobody's to delete.
 */
export function keptTooLong(
  instances: readonly DBInstance[],
  environment: EnvironmentName,
  { live, now }: { live: Pick<DBInstance, 'DbiResourceId'>; now: Date },
): string[] {
  return instances.flatMap(({ DBInstanceIdentifier: id = '', DbiResourceId, TagList }) => {
    const { role, environment: its, 'keep-until': until } = readMarks(TagList);
    if (until === undefined || (its ?? environment) !== environment) return [];
    if (role === 'taken-back' || DbiResourceId === live.DbiResourceId) return [];
    // A day that nobody can read is over.
    if (Date.parse(until) > now.getTime()) return [];
    return [
      `Instance ${id}${role === 'retired' ? ', retired by a recovery,' : ''} was to be kept until ${until}, and costs as much as a live one. ` +
        `Delete it as docs/runbook.md says, or give its tag migration-rollback:keep-until a later day.`,
    ];
  });
}
