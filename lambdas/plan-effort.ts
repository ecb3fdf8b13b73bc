import type { DBInstance } from '@aws-sdk/client-rds';
import { DOCUMENTED_OUTAGE_MINUTES } from './begun-rename';
import type { PlanResult } from './contract/plan';
import type { Recovery } from './contract/recovery';
import type { InstancePrice } from './contract/rules';
import type { EarlierExecutions } from './earlier-recoveries';
import { InstanceQuotaExceeded, SnapshotQuotaExceeded } from './errors';
import { pricePerDay } from './instance-price';
import { tenthsOf } from './plan-loss';
import type { Quotas } from './quotas';

/** What a recovery makes; a snapshot RDS takes only of an instance that is there. */
export function madeBy(recovery: Recovery): PlanResult['plan']['toBeMade'] {
  const { mode, live, recoveryInstanceId, safetySnapshotId: safety, finalSnapshotId: final } = recovery;
  const instances = [recoveryInstanceId];
  if (mode === 'drill' || live.state !== 'there') return { instances, snapshots: [] };
  return { instances, snapshots: hasFinalSnapshot(recovery) ? [safety, final] : [safety] };
}

function hasFinalSnapshot({ mode, retire }: Recovery): boolean {
  return mode !== 'drill' && retire === 'delete';
}

/** Throws InstanceQuotaExceeded, SnapshotQuotaExceeded. */
export function refuseWithoutRoom(
  { instances, snapshots, storage }: Quotas,
  instance: DBInstance,
  recovery: Recovery,
): void {
  const gib = instance.AllocatedStorage ?? 0;
  if (instances.used >= instances.quota)
    throw new InstanceQuotaExceeded(
      `${instances.used} of ${instances.quota} instances are used, and a recovery makes one.`,
      'Delete an instance that nobody needs (mode "clean-up" deletes what stopped recoveries left), or ask AWS for a higher quota.',
    );
  if (storage.used + gib > storage.quota)
    throw new InstanceQuotaExceeded(
      `${storage.used} of ${storage.quota} GiB of storage are used by instances, and a recovery needs ${gib} more.`,
      'Delete an instance that nobody needs, or ask AWS for a higher quota.',
    );
  if (hasFinalSnapshot(recovery) && snapshots.used >= snapshots.quota)
    throw new SnapshotQuotaExceeded(
      `${snapshots.used} of ${snapshots.quota} manual snapshots are used, and the final snapshot of ${recovery.live.instanceId} needs one.`,
      'Delete snapshots that nobody needs, or recover with "retire": "keep".',
    );
}

/** What the second instance adds, where the table of environments has a price of its class. */
export function costOf(
  instance: DBInstance,
  instancePrice: InstancePrice | undefined,
): PlanResult['plan']['costPerDay'] {
  const price = pricePerDay(instance, instancePrice);
  if (price === undefined || instancePrice === undefined) return null;
  const { currency, priceOf } = instancePrice;
  return { amount: Math.round(price * 100) / 100, currency, priceOf };
}

/** How long it takes from start to end, by how long others took. */
export function expectedMinutes(minutes: readonly number[]): PlanResult['plan']['expectedMinutes'] {
  const sorted = [...minutes].sort((a, b) => a - b);
  const [shortest, longest] = [sorted[0], sorted.at(-1)];
  const median = sorted[Math.floor(sorted.length / 2)];
  if (shortest === undefined || longest === undefined || median === undefined) return null;
  return {
    median: tenthsOf(median),
    shortest: tenthsOf(shortest),
    longest: tenthsOf(longest),
    recoveries: sorted.length,
  };
}

/** How long a rename leaves the application without a database, and how that is known. */
export function outageOf(earlier: EarlierExecutions | undefined): { outageMinutes: number; why: string } {
  const measured = expectedMinutes(earlier?.renames ?? []);
  return measured
    ? { outageMinutes: measured.median, why: `measured by ${measured.recoveries} earlier` }
    : { outageMinutes: DOCUMENTED_OUTAGE_MINUTES, why: 'as RDS documents; none was measured yet' };
}
