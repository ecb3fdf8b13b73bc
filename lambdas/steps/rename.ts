import {
  AddTagsToResourceCommand,
  ModifyDBInstanceCommand,
  type DBInstance,
  type RDSClient,
} from '@aws-sdk/client-rds';
import { begunRename, renameMarks, type BegunRename } from '../begun-rename';
import type { CheckMigrationsResult } from '../contract/gate';
import type { Recovery } from '../contract/recovery';
import type { RenameResult } from '../contract/rename';
import type { EnvironmentName } from '../contract/settings';
import { refuseBesideCutOff } from '../cut-off';
import { InvalidInput, LiveInstanceUnclear, NotRenamedYet, RenameRefused, isAwsError } from '../errors';
import { refuseIfOvertaken } from '../overtaken';
import { addressOf, isTerminal, isUp, listInstances } from '../rds';
import { requirePlannedVersion, type ClaimDeps } from '../recovery-claim';
import { nameInUse, refuseRename, refuseWhileMigrating } from '../renaming';
import { takeClaim } from '../take-claim';

export interface RenameDeps extends ClaimDeps {
  readonly rds: RDSClient;
  readonly environment: EnvironmentName;
  readonly checkMigrations: (event: { migrations: null; schema: null }) => Promise<CheckMigrationsResult>;
}

/**
 * Claims the database and has RDS give the live instance its old name back: an outage begins. The instance is known by its resource id,
 * which stays, so that it is found again whatever it is called by then. Throws RenameRefused and SecretMovedMeanwhile before anything
 * is changed, RecoveryAlreadyRunning, RecoveryOvertaken, StoppedRecoveryAtWork, then NotRenamedYet until it is up under its new name.
 */
export async function rename(
  { recovery, redrives = 0 }: { recovery: Recovery; redrives?: number },
  deps: RenameDeps,
): Promise<RenameResult> {
  const { live, recoveryInstanceId: to } = recovery;
  if (!recovery.rename)
    throw new InvalidInput(`Mode "${recovery.mode}" renames nothing.`, 'Start with mode "rename".');
  // The secret names this database by an address that it had, or has: else another execution brought another one back since the plan.
  const known = byResourceId(await listInstances(deps.rds), recovery);
  const address = known && addressOf(known);
  await refuseIfOvertaken(recovery, address ? [live, address] : [live], deps);
  await takeClaim(recovery, deps);
  const instances = await listInstances(deps.rds);
  const instance = byResourceId(instances, recovery);
  // Between the two names RDS may show neither.
  if (!instance) throw new NotRenamedYet(`No instance has the resource id ${live.resourceId} now.`, 'Wait.');
  const begun = begunRename(instance);
  if (begun) return { instance: finished(begun, recovery), askedAt: begun.askedAt };
  // Else it might ask RDS after this one has said that nothing is changed.
  await refuseBesideCutOff(recovery, redrives, ['rename'], deps);
  try {
    await ask(recovery, instance, instances, deps);
  } catch (error) {
    // A call before this one, or beside it, may have got through, and its answer not: what is refused then is our second one.
    const now = byResourceId(await listInstances(deps.rds), recovery);
    if (now && !begunRename(now)) throw error;
  }
  throw new NotRenamedYet(`RDS was asked to rename ${live.instanceId} to ${to}.`, 'Wait.');
}

function byResourceId(instances: readonly DBInstance[], { live }: Recovery): DBInstance | undefined {
  return instances.find(({ DbiResourceId }) => DbiResourceId === live.resourceId);
}

/** Its new address, once it is up under the new name. */
function finished(
  { instance, from }: BegunRename,
  { live, recoveryInstanceId: to }: Recovery,
): RenameResult['instance'] {
  const { DBInstanceIdentifier: id = '', DBInstanceStatus: status } = instance;
  if (isTerminal(status))
    throw new LiveInstanceUnclear(
      `Instance ${id}, which was to become ${to}, is "${status ?? ''}", which it does not leave by itself.`,
      'Its events in RDS say why. Bring it up, then redrive. If that cannot be done, put the endpoint that it has now into the secret by hand: then a plan says how a recovery goes without it.',
    );
  const address = addressOf(instance);
  // What else may be pending keeps the application waiting for nothing.
  if (id !== to || !isUp(status) || !address || address.host === from.host)
    throw new NotRenamedYet(
      `Instance ${live.instanceId}, which becomes ${to}, is "${status ?? 'unknown'}" as ${id}, ${address ? `at ${address.host}` : 'without an address'}.`,
      'Wait.',
    );
  return address;
}

async function ask(
  recovery: Recovery,
  instance: DBInstance,
  instances: readonly DBInstance[],
  deps: RenameDeps,
): Promise<void> {
  const { rds } = deps;
  const { live, recoveryInstanceId: to } = recovery;
  const address = addressOf(instance);
  const { DBInstanceIdentifier: id = '' } = instance;
  if (id === to)
    throw new RenameRefused(
      `Instance ${live.instanceId} was renamed to ${to} already, by another execution.`,
      'There is nothing to rename. Its record says who asked for that.',
    );
  if (!address || id !== live.instanceId || address.host !== live.host)
    throw new RenameRefused(
      `Instance ${id} (${live.resourceId}) is not what the plan saw: ${live.instanceId} at ${live.host}.`,
      'Look who changed it, then start again.',
    );
  refuseRename(instance, to, instances, deps.environment);
  await requirePlannedVersion(recovery, deps);
  await refuseWhileMigrating(deps.checkMigrations);
  await rds.send(
    new AddTagsToResourceCommand({
      ResourceName: instance.DBInstanceArn,
      Tags: renameMarks(instance, address, deps.now()),
    }),
  );
  try {
    await rds.send(
      new ModifyDBInstanceCommand({
        DBInstanceIdentifier: id,
        NewDBInstanceIdentifier: to,
        ApplyImmediately: true,
      }),
    );
  } catch (error) {
    if (!REFUSED.some((name) => isAwsError(error, name, `${name}Fault`))) throw error;
    const owner = (await listInstances(rds)).find(({ DBInstanceIdentifier }) => DBInstanceIdentifier === to);
    if (owner) throw nameInUse(owner, to);
    throw new RenameRefused(
      `RDS does not rename ${id} now: ${error instanceof Error ? error.message : ''}`,
      'It began something else a moment ago. Nothing was changed: redrive when it is available.',
      { cause: error },
    );
  }
}

/** What RDS answers where it is busy, where somebody has the name, and where the old name is gone. */
const REFUSED = ['InvalidDBInstanceState', 'DBInstanceAlreadyExists', 'DBInstanceNotFound'];
