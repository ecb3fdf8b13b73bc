import type { RDSClient } from '@aws-sdk/client-rds';
import type * as z from 'zod/mini';
import type { ReapVaultEvent, ReapVaultResult } from '../contract/copies';
import type { VaultRules } from '../contract/rules';
import type { EnvironmentName } from '../contract/settings';
import { copyExpiry } from '../copies';
import { RetentionWarning } from '../errors';
import { newestWarning, reap, removeSnapshot } from '../reaping';
import { listOwnSnapshots } from '../snapshot-catalogue';
import { snapshotQuota } from '../snapshot-quota';

/**
 * In the account of the vault: deletes the copies that are past their time, and those that RDS could not finish, whose names are
 * in the way of another try. When a copy expires is read off when its snapshot was taken, which RDS says, and not off a tag,
 * which home wrote: nobody there can make one go sooner. With `failOnWarning` throws RetentionWarning, after the work, when
 * somebody should look.
 */
export async function reapVault(
  event: z.infer<typeof ReapVaultEvent>,
  deps: {
    readonly rds: RDSClient;
    readonly environment: EnvironmentName;
    readonly rules: VaultRules;
    readonly now: () => Date;
  },
): Promise<ReapVaultResult> {
  const { rds, environment, rules } = deps;
  const now = deps.now();
  const copies = await listOwnSnapshots(rds, environment, undefined);
  const failed: ReapVaultResult['deleted'] = [];
  for (const { id } of copies.filter(({ status }) => status === 'failed'))
    if (event.dryRun || (await removeSnapshot(rds, id)) === undefined)
      failed.push({ snapshotId: id, why: 'RDS could not finish it' });
  const { deleted, kept, left } = await reap(
    rds,
    copies
      .filter(({ status }) => status !== 'failed')
      .map((copy) => ({ ...copy, expiresAt: copyExpiry(copy, rules) })),
    rules,
    now,
    { dryRun: event.dryRun, recovery: undefined },
  );
  const { warning } = await snapshotQuota(rds);
  const warnings = [
    ...newestWarning(left, undefined, rules, now),
    ...(warning === undefined ? [] : [warning]),
  ];
  if (event.failOnWarning && warnings.length > 0)
    throw new RetentionWarning(
      `In the vault, account ${rules.account}: ${warnings.join(' ')}`,
      `${deleted.length + failed.length} copies were deleted and ${kept.length} kept, as they should. See docs/pipeline.md.`,
    );
  return {
    dryRun: event.dryRun,
    deleted: [...failed, ...deleted.map(({ id, why }) => ({ snapshotId: id, why }))],
    kept: kept.map(({ id, why }) => ({ snapshotId: id, why })),
    warnings,
  };
}
