import { DescribeAccountAttributesCommand, type RDSClient } from '@aws-sdk/client-rds';

/** What RDS grants an account that never asked for more. */
const DEFAULT_QUOTA = 100;

/** How many manual snapshots this account has in this Region, and how many it may have. */
export async function snapshotQuota(rds: RDSClient): Promise<{ used: number; quota: number }> {
  const { AccountQuotas } = await rds.send(new DescribeAccountAttributesCommand({}));
  const manual = AccountQuotas?.find(({ AccountQuotaName }) => AccountQuotaName === 'ManualSnapshots');
  return { used: manual?.Used ?? 0, quota: manual?.Max ?? DEFAULT_QUOTA };
}
