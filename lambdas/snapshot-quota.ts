import type { RDSClient } from '@aws-sdk/client-rds';
import { readQuotas } from './quotas';

/** Neither a deployment nor the schedule takes them: a recovery needs a safety and a final snapshot. */
const KEPT_FOR_RECOVERY = 2;
/** People are told from so few on that are left: a day of deployments, and what a recovery takes. */
const FEW = 10;

export interface SnapshotQuota {
  /** Manual snapshots of this account in this Region. */
  readonly used: number;
  readonly quota: number;
  /** Of those that are left, the ones that are not kept for a recovery. */
  readonly free: number;
  /** For people, where few are left. */
  readonly warning: string | undefined;
}

export async function snapshotQuota(rds: RDSClient): Promise<SnapshotQuota> {
  const { used, quota } = (await readQuotas(rds)).snapshots;
  return {
    used,
    quota,
    free: Math.max(0, quota - KEPT_FOR_RECOVERY - used),
    warning: used + FEW > quota ? `${usage(used, quota)} ${QUOTA_HINT}` : undefined,
  };
}

/** Why no snapshot is begun, with the numbers. */
export function noSnapshotLeft({ used, quota }: SnapshotQuota): string {
  return `${usage(used, quota)} The last ${KEPT_FOR_RECOVERY} are kept for a recovery.`;
}

function usage(used: number, quota: number): string {
  return `${used} of ${quota} manual snapshots of this account and Region are used.`;
}

export const QUOTA_HINT =
  'Delete snapshots that nobody needs, ask AWS for a higher quota, or deploy with restorePoint "point-in-time".';
