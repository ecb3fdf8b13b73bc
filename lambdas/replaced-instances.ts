import type { DBInstance } from '@aws-sdk/client-rds';
import { readMarks } from './tags';

/** An instance that was live until a recovery made another one so. */
export interface ReplacedInstance {
  readonly instance: DBInstance;
  readonly replacedBy: { readonly recoveryId: string; readonly instance: DBInstance };
}

/**
 * Whether the recovery that made the instance has not come to its end: settings may be missing, deletion protection and storage
 * autoscaling first of all, so nothing may be made after it.
 */
export function isUnfinished({ TagList }: DBInstance): boolean {
  return readMarks(TagList).role === 'recovery-instance';
}

/**
 * What an instance replaced, as its recovery wrote into its tags, what that one had replaced, and so on as far as they are there:
 * newest first. So an instance that was live is found however its recovery ended.
 */
export function replacedBefore(
  instance: DBInstance,
  instances: readonly DBInstance[],
): readonly ReplacedInstance[] {
  const found: ReplacedInstance[] = [];
  const seen = new Set([instance.DbiResourceId]);
  let at = instance;
  for (;;) {
    const { replaces, 'recovery-id': recoveryId } = readMarks(at.TagList);
    const before = instances.find(({ DbiResourceId }) => DbiResourceId === replaces);
    // An undo takes back what was replaced: the two name each other.
    if (replaces === undefined || recoveryId === undefined || !before || seen.has(replaces)) return found;
    seen.add(replaces);
    found.push({ instance: before, replacedBy: { recoveryId, instance: at } });
    at = before;
  }
}

/** Whether it is neither marked retired yet nor on its way back to live. */
export function isForgotten({ TagList }: DBInstance): boolean {
  const { role } = readMarks(TagList);
  return role !== 'retired' && role !== 'taken-back';
}
