import { DescribeAccountAttributesCommand, type RDSClient } from '@aws-sdk/client-rds';

export interface Quota {
  readonly used: number;
  readonly quota: number;
}

/** What this account has in this Region, and what it may have. */
export interface Quotas {
  /** Manual ones. */
  readonly snapshots: Quota;
  readonly instances: Quota;
  /** Of all instances together, GiB. */
  readonly storage: Quota;
}

/** What RDS grants an account that never asked for more. */
const DEFAULTS = { ManualSnapshots: 100, DBInstances: 40, AllocatedStorage: 100_000 };

export async function readQuotas(rds: RDSClient): Promise<Quotas> {
  const { AccountQuotas } = await rds.send(new DescribeAccountAttributesCommand({}));
  const quota = (name: keyof typeof DEFAULTS): Quota => {
    const found = AccountQuotas?.find(({ AccountQuotaName }) => AccountQuotaName === name);
    return { used: found?.Used ?? 0, quota: found?.Max ?? DEFAULTS[name] };
  };
  return {
    snapshots: quota('ManualSnapshots'),
    instances: quota('DBInstances'),
    storage: quota('AllocatedStorage'),
  };
}
