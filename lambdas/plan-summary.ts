import type { DBInstance } from '@aws-sdk/client-rds';
import { INPUT_TO_RENAME } from './begun-rename';
import type { Leftover } from './contract/clean-up';
import type { NamedBy, PlanResult } from './contract/plan';
import type { Recovery } from './contract/recovery';
import type { LogicalReplication } from './contract/replication';
import { slotNames } from './logical-replication';
import { minutesInWords } from './plan-loss';
import type { FoundRestorePoint } from './found-restore-point';
import type { RunningRecovery } from './claim';

type Plan = Omit<PlanResult['plan'], 'summary'>;

/** A plan in words: one short line each, the most important first. */
export function summaryOf(
  recovery: Recovery,
  found: FoundRestorePoint,
  instance: DBInstance,
  plan: Plan,
  running: RunningRecovery | undefined,
): string[] {
  const { live, mode } = recovery;
  return [
    ...inTheWay(live, plan, running),
    `Live: ${live.instanceId} (${plan.live.status}), ${live.host}:${live.port}.`,
    ...restorePointLines(recovery, found, plan),
    ...migrationLines(plan),
    ...madeLines(recovery, plan, running),
    ...afterwards(recovery),
    ...quotaLines(plan),
    ...timeLines(plan),
    ...settingsLines(plan),
    ...costLines(live, instance, plan),
    ...plan.keptTooLong,
    ...(plan.namedBy ? namedByLines(live.instanceId, plan.namedBy) : []),
    ...(plan.replication ? replicationLines(live.instanceId, plan.replication) : []),
    ...elseLines(live, plan, running),
    ...plan.notKnown,
    ...(mode === 'plan'
      ? [`Nothing was changed. To do it, start the machine with ${JSON.stringify(plan.inputToRecover)}`]
      : []),
  ];
}

/** What has to come to its end first. */
function inTheWay(live: Recovery['live'], { rename }: Plan, running: RunningRecovery | undefined): string[] {
  if (running)
    return [
      `Recovery ${running.name}, which ${running.requestedBy} started at ${running.since}, runs: no other one can be started until it has ended.`,
    ];
  return rename?.begun ? [unfinishedRenameLine(live)] : [];
}

/** Where it goes back to, why, what that loses, and what else would do. */
function restorePointLines(
  { live, restorePoint }: Recovery,
  { time, why, end }: FoundRestorePoint,
  { lossWindowMinutes, alternatives }: Plan,
): string[] {
  return [
    `Back to: ${restorePoint.kind === 'snapshot' ? `snapshot ${restorePoint.snapshotId}` : 'a second in the automated backups'}, as of ${time.toISOString()}.`,
    ...why,
    lossLine(live, lossWindowMinutes, end),
    ...alternatives.map(
      ({ restore, time: other, why: because }) =>
        `Or: ${JSON.stringify(restore)}, as of ${other}. ${because}`,
    ),
  ];
}

function migrationLines({ migrations: { goAway, stay } }: Plan): string[] {
  return [
    goAway === null ? 'Migrations that go: not known.' : `Migrations that go: ${list(goAway)}.`,
    ...(stay ? [`Migrations that stay: ${stay.count}, newest ${stay.newest ?? 'none'}.`] : []),
  ];
}

/** What is made, and where its settings come from if not from the live instance. */
function madeLines(
  { live, recoveryInstanceId, settingsSnapshotId }: Recovery,
  { unfinished }: Plan,
  running: RunningRecovery | undefined,
): string[] {
  return [
    `Made: instance ${recoveryInstanceId}.`,
    ...(live.state === 'gone'
      ? [`${live.instanceId} is gone: its settings are taken from snapshot ${settingsSnapshotId ?? ''}.`]
      : []),
    // While its recovery runs it is not finished yet, and that is all.
    ...(unfinished?.settingsFrom && !running
      ? [
          `Recovery ${unfinished.recoveryId} has not finished ${live.instanceId}: settings are taken from ${unfinished.settingsFrom}. A redrive of it finishes it.`,
        ]
      : []),
  ];
}

function quotaLines({ quotas }: Plan): string[] {
  return quotas
    ? [
        `Quotas: ${quotas.instances.used} of ${quotas.instances.quota} instances, ${quotas.snapshots.used} of ${quotas.snapshots.quota} manual snapshots are used.`,
      ]
    : [];
}

function timeLines({ expectedMinutes, notKnown }: Plan): string[] {
  if (!expectedMinutes)
    return notKnown.some((line) => line.startsWith('How long'))
      ? []
      : ['No earlier recovery says how long it takes.'];
  const { median, shortest, longest, recoveries } = expectedMinutes;
  const others =
    recoveries === 1
      ? 'as the one earlier recovery did'
      : `as the ${recoveries} earlier recoveries say: ${shortest} to ${longest}`;
  return [`It takes about ${median} minutes, ${others}, retirement included.`];
}

function settingsLines({ modifiedAfterwards, asInBackup }: Plan): string[] {
  return [
    `Changed after the restore: ${modifiedAfterwards.join(', ')}.`,
    ...asInBackup.map(
      ({ name, live, backup }) => `${name} comes from the backup: ${backup}, now it is ${live}.`,
    ),
  ];
}

/** Where the live instance is gone the new one takes its place. */
function costLines({ state }: Recovery['live'], instance: DBInstance, { costPerDay }: Plan): string[] {
  if (state === 'gone') return [];
  const more = costPerDay
    ? `${costPerDay.amount} ${costPerDay.currency} a day more (${costPerDay.priceOf}).`
    : 'twice the cost of now; the table of environments has no price.';
  return [`Until one of them goes there are two instances ${size(instance)}: ${more}`];
}

/** What else could be done from here. */
function elseLines(
  live: Recovery['live'],
  { undo, rename, leftovers }: Plan,
  running: RunningRecovery | undefined,
): string[] {
  return [
    ...(undo
      ? [
          `Or undo recovery ${undo.recoveryId}: ${undo.instanceId} becomes live again, as it was at ${undo.asOf}; what was written in the ${minutesInWords(undo.lossWindowMinutes)} since stays in ${live.instanceId} only. Start the machine with ${JSON.stringify(undo.inputToUndo)}`,
        ]
      : []),
    ...(rename === null || rename.begun || running ? [] : [renameLine(live, rename)]),
    ...leftoverLines(leftovers ?? []),
  ];
}

/** What a person has to see to after an instance is another one, or has another name. */
export function namedByLines(instanceId: string, { alarms, dashboards }: NamedBy): string[] {
  const named = [
    ...(alarms?.length ? [`alarms ${list(alarms)}`] : []),
    ...(dashboards?.length ? [`dashboards ${list(dashboards)}`] : []),
  ];
  return named.length === 0
    ? []
    : [
        `These know ${instanceId} by its name, and see nothing of what is live afterwards: ${named.join('; ')}. Runbook: "Dashboards and alarms that follow".`,
      ];
}

/** What consumers by logical replication, and this database as one, need afterwards. */
function replicationLines(instanceId: string, { slots, subscriptions }: LogicalReplication): string[] {
  const broken = [
    ...(slots.length > 0 ? [`the slots ${list(slotNames(slots))} stay behind in ${instanceId}`] : []),
    ...(subscriptions.length > 0
      ? [`the subscriptions ${list(subscriptions)} start in the restored database by themselves`]
      : []),
  ];
  return broken.length === 0
    ? []
    : [`Logical replication breaks: ${broken.join('; ')}. Runbook: "Logical replication".`];
}

/** Of what is gone the loss does not grow. */
function lossLine({ instanceId, state }: Recovery['live'], minutes: number, end: Date | undefined): string {
  const lost = minutesInWords(minutes);
  if (state !== 'gone') return `Lost: what was written since, now ${lost}.`;
  return end
    ? `Lost: what was written since, ${lost} up to ${end.toISOString()}, the last that is known of ${instanceId}.`
    : `Lost: what was written since, ${lost} at most: when ${instanceId} went is not known.`;
}

/** What was left and, where there is something to clean up, the exact input that does it. */
export function leftoverLines(leftovers: readonly Leftover[]): string[] {
  const input = inputToCleanUp(leftovers);
  return [
    ...leftovers.map(leftoverLine),
    ...(input === null ? [] : [`To clean up, start the machine with ${JSON.stringify(input)}`]),
  ];
}

/** Null where there is nothing to clean up. */
export function inputToCleanUp(
  leftovers: readonly Leftover[],
): { mode: 'clean-up'; reason: string; requestedBy: string } | null {
  return leftovers.some(({ cleanUp }) => cleanUp !== 'leaves')
    ? { mode: 'clean-up', reason: 'why it is cleaned up', requestedBy: 'your name' }
    : null;
}

/** Where the secret names the new address already. */
export function unfinishedRenameLine({ instanceId }: Recovery['live']): string {
  return `The rename to ${instanceId} did not come to its end: THE APPLICATION MAY NOT HAVE BEEN RESTARTED. Start the machine with ${JSON.stringify(INPUT_TO_RENAME)}: it goes on, and asks nobody.`;
}

function renameLine(
  { instanceId }: Recovery['live'],
  { to, notNow, outageMinutes, inputToRename }: NonNullable<PlanResult['plan']['rename']>,
): string {
  return notNow === null
    ? `Or give ${instanceId} its old name ${to} back, so that CloudFormation is true: about ${outageMinutes} minutes without a database. Start the machine with ${JSON.stringify(inputToRename)}`
    : `${instanceId} cannot get its old name ${to} back now. ${notNow}`;
}

/** `Left behind since …: recovery instance x of recovery y, which ended ABORTED. …` */
export function leftoverLine({
  what,
  instanceId,
  recoveryId,
  execution,
  since,
  cleanUp,
  why,
}: Leftover): string {
  const thing = what === 'fence' ? `the fence around ${instanceId}` : `${what} ${instanceId}`;
  const ended = execution ? ` (${execution.name}, ${execution.status})` : '';
  const fate = { deletes: 'deletes it', retires: 'retires it again', opens: 'lifts it', leaves: 'leaves it' }[
    cleanUp
  ];
  return `Left behind since ${since ?? 'nobody knows when'}: ${thing} of recovery ${recoveryId}${ended}. Clean-up ${fate}. ${why}`;
}

function afterwards(recovery: Recovery): string[] {
  const { live } = recovery;
  if (recovery.mode === 'drill')
    return ['It is a drill: the instance is deleted once it is verified, and nothing else is changed.'];
  const old =
    recovery.retire === 'delete'
      ? [
          `Afterwards ${live.instanceId} is deleted, with final snapshot ${recovery.finalSnapshotId}; its automated backups are kept.`,
        ]
      : live.state === 'gone'
        ? []
        : [
            `Afterwards ${live.instanceId} is kept; after ${recovery.keepDays} days people are reminded of it, and nothing deletes it.`,
          ];
  const { soakMinutes, soakAlarms } = recovery;
  const soak =
    soakMinutes === 0
      ? []
      : [
          `Before that the new database is watched for ${soakMinutes} minutes${soakAlarms.length === 0 ? '' : `, and the alarms ${soakAlarms.join(', ')}`}: if something is wrong, a person is asked.`,
        ];
  return [...old, ...soak, ...approvalSteps(recovery)];
}

function approvalSteps(recovery: Recovery): string[] {
  const asked = [
    ...(recovery.approveCutover ? ['before the cutover'] : []),
    ...(recovery.approveRetirement && recovery.retire === 'delete'
      ? [`before ${recovery.live.instanceId} is deleted`]
      : []),
  ];
  return asked.length === 0
    ? []
    : [`A person is asked ${asked.join(' and ')}, and answers with ${recovery.environment}-decide.`];
}

const SHOWN = 3;

function list(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const more = names.length - SHOWN;
  return names.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function size({ DBInstanceClass, AllocatedStorage, MultiAZ }: DBInstance): string {
  return `(${DBInstanceClass ?? 'of unknown class'}, ${AllocatedStorage ?? 0} GiB${MultiAZ ? ', Multi-AZ' : ''})`;
}
