import type { DBInstance } from '@aws-sdk/client-rds';
import type * as z from 'zod/mini';
import { findBegunRename, type BegunRename } from './begun-rename';
import type { PlanEvent, PlanRenameResult } from './contract/plan';
import type { Recovery } from './contract/recovery';
import { isSameHost, readLogin } from './database-url';
import { earlierExecutions } from './earlier-recoveries';
import { RenameRefused } from './errors';
import { findLiveInstance } from './live-instance';
import { findNamedBy } from './named-by';
import { finalSnapshotId, safetySnapshotId } from './names';
import { outageOf } from './plan-effort';
import { namedByLines } from './plan-summary';
import { plannedRecovery, readAsked } from './planned-recovery';
import { addressOf, listInstances } from './rds';
import { nameBefore, refuseRename, refuseWhileMigrating } from './renaming';
import { requireClaimable } from './take-claim';
import { currentSecret } from './secrets';
import type { PlanDeps } from './steps/plan';

/**
 * Decides how the live instance gets the name back that it had before any recovery, and changes nothing. A rename that was begun and
 * did not come to its end is gone on with. Throws InvalidInput, RecoveryAlreadyRunning, StoppedRecoveryAtWork, LiveInstanceUnclear,
 * SecretUnclear, RenameRefused.
 */
export async function planRename(
  event: z.infer<typeof PlanEvent>,
  deps: PlanDeps,
): Promise<PlanRenameResult> {
  const asked = readAsked(event);
  const { execution, id } = asked;
  await requireClaimable(id, deps);
  const found = (await goneOnWith(deps)) ?? (await fresh(deps));
  const { live, to, begun } = found;
  const { outageMinutes, why } = outageOf(
    await earlierExecutions(deps.stepFunctions, execution.arn).catch(() => undefined),
  );
  const recovery: Recovery = {
    ...plannedRecovery(asked, deps.environment, {
      live: { ...live, state: 'there' },
      settingsSnapshotId: null,
      secretVersionId: found.secretVersionId,
    }),
    recoveryInstanceId: to,
    safetySnapshotId: safetySnapshotId(to, id),
    finalSnapshotId: finalSnapshotId(to, id),
    rename: { begun: begun !== undefined },
  };
  const { consumers } = deps.recoveryRules;
  // Its resource id stays.
  const { namedBy, notKnown } = await findNamedBy([live.instanceId], deps.cloudWatch);
  const host = live.host.startsWith(`${live.instanceId}.`)
    ? `${to}${live.host.slice(live.instanceId.length)}`
    : null;
  const comes = `${host ?? 'one that RDS makes of the new name'} comes`;
  return {
    recovery,
    plan: {
      summary: [
        ...(begun
          ? [
              `RDS was asked to rename ${live.instanceId} to ${to}, and that did not come to its end: it goes on from what is there, and nobody is asked again.`,
              isSameHost(live.host, begun.from.host)
                ? `Address: ${live.host} is gone, ${comes}; DATABASE_URL moves to it.`
                : `Address: DATABASE_URL names the new one already, ${live.host}.`,
              `Without a database since ${begun.askedAt}, until the application is restarted.`,
            ]
          : [
              `Renamed: ${live.instanceId} to ${to}. It stays the same database, with its data, tags, snapshots and automated backups.`,
              `Address: ${live.host} goes at once, ${comes}; DATABASE_URL moves to it.`,
              `Without a database: about ${outageMinutes} minutes (${why}), and the restart of the application.`,
              `A person is asked first, and answers with ${deps.environment}-decide; until then nothing is changed.`,
            ]),
        consumers.length === 0
          ? 'Restarted: nothing, since the table of environments names no services. Restart everything that uses the database by hand.'
          : `Restarted: ${consumers.map(({ cluster, service }) => `${cluster}/${service}`).join(', ')}.`,
        'It cannot be taken back by itself: if it fails on the way, a redrive goes on forward.',
        ...namedByLines(live.instanceId, namedBy),
        ...notKnown,
      ],
      from: { instanceId: live.instanceId, host: begun?.from.host ?? live.host },
      to: { instanceId: to, host },
      outageMinutes,
      consumers: [...consumers],
      namedBy,
    },
  };
}

interface Found {
  readonly live: Omit<Recovery['live'], 'state'>;
  readonly to: string;
  readonly secretVersionId: string;
  readonly begun: BegunRename | undefined;
}

async function goneOnWith({ rds, secrets, databaseUrlSecretId }: PlanDeps): Promise<Found | undefined> {
  const { value, versionId } = await currentSecret(secrets, databaseUrlSecretId);
  const { host, port } = readLogin(value);
  const rename = findBegunRename(await listInstances(rds), host);
  if (!rename) return undefined;
  return {
    live: {
      instanceId: rename.from.instanceId,
      resourceId: rename.instance.DbiResourceId ?? '',
      host,
      port,
    },
    to: targetOf(rename),
    secretVersionId: versionId,
    begun: rename,
  };
}

/** Under its old name still, it gets the one that RDS was asked for. */
function targetOf({ instance, from }: BegunRename): string {
  const id = instance.DBInstanceIdentifier ?? '';
  return id === from.instanceId ? (nameBefore(instance) ?? id) : id;
}

async function fresh(deps: PlanDeps): Promise<Found> {
  const { rds, secrets, databaseUrlSecretId, environment } = deps;
  const { instance, instances, address, secretVersionId } = await findLiveInstance(
    rds,
    secrets,
    databaseUrlSecretId,
    environment,
  );
  const to = nameBefore(instance);
  if (to === undefined) throw nothingToRename(instance);
  refuseRename(instance, to, instances, environment);
  await refuseWhileMigrating(deps.checkMigrations);
  return { live: addressOf(instance) ?? address, to, secretVersionId, begun: undefined };
}

function nothingToRename({ DBInstanceIdentifier: id = '' }: DBInstance): RenameRefused {
  return new RenameRefused(
    `Instance ${id} is live, and has the name that it had before any recovery.`,
    'There is nothing to rename.',
  );
}
