import type { DBInstance, DBSnapshot, RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type * as z from 'zod/mini';
import type { RestorePointsEvent, RestorePointsResult } from '../contract/restore-points';
import type { CopyRules, RetentionRules } from '../contract/rules';
import type { EnvironmentName } from '../contract/settings';
import { LiveInstanceUnclear, SecretUnclear } from '../errors';
import { findLiveOrGone } from '../live-instance';
import { backupWindow, readMarkers } from '../point-in-time';
import { listSnapshots } from '../rds';
import { decide } from '../retention';
import { listOwnSnapshots, type OwnSnapshot } from '../snapshot-catalogue';
import { heldName, readMarks } from '../tags';
import { lookIntoVault, type Vault } from '../vault';

type Point = RestorePointsResult['points'][number];

/**
 * Lists what the database can go back to: snapshots and their copies, markers of deployments and the window of the automated backups. That
 * the live instance is gone, or not to be found, is said, and no reason not to: then somebody needs the list most.
 */
export async function restorePoints(
  event: z.infer<typeof RestorePointsEvent>,
  deps: {
    rds: RDSClient;
    secrets: SecretsManagerClient;
    environment: EnvironmentName;
    databaseUrlSecretId: string;
    rules: RetentionRules;
    copies?: { elsewhere: RDSClient; rules: CopyRules } | undefined;
    vault?: Vault | undefined;
    now: () => Date;
  },
): Promise<RestorePointsResult> {
  const { rds, environment, rules } = deps;
  const now = deps.now();
  const { known, problem } = await liveOrWhyNot(deps);
  const snapshots = await listOwnSnapshots(rds, environment, known?.settings);
  const window = known && (await backupWindow(rds, known.resourceId));
  const { copies, notListed } = await copiesOf(deps, now);
  const here = new Set(snapshots.map(({ id }) => id));
  const byHand = known ? await snapshotsByHand(rds, known.resourceId, here) : [];
  const points = [
    ...ofSnapshotsHere(snapshots, copies, rules, now),
    ...ofCopiesOnly(copies, here, now),
    ...byHand.map((snapshot) => ofSnapshotByHand(snapshot, now)),
    ...readMarkers(known?.settings.TagList).map((marker) => ofMarker(marker, window, now)),
  ];
  return {
    environment,
    liveInstanceId: known?.instanceId ?? null,
    liveProblem: problem,
    window: window ? { from: window.from.toISOString(), to: window.to.toISOString() } : null,
    points: asked(points, event),
    notListed,
  };
}

/** Those that were asked for, newest first. */
function asked(
  points: readonly Point[],
  { kind: only, migration, since, limit }: z.infer<typeof RestorePointsEvent>,
): Point[] {
  return points
    .filter(({ kind }) => only === undefined || kind === only)
    .filter(({ migrations }) => migration === undefined || migrations.includes(heldName(migration)))
    .filter(({ time }) => since === undefined || Date.parse(time) >= Date.parse(since))
    .sort((a, b) => Date.parse(b.time) - Date.parse(a.time))
    .slice(0, limit);
}

/** The snapshots of this system that are in this Region and account, each with its copies and what the reaper will do with it. */
function ofSnapshotsHere(
  snapshots: readonly OwnSnapshot[],
  copies: readonly Copy[],
  rules: RetentionRules,
  now: Date,
): Point[] {
  const reasons = new Map(
    decide(snapshots, rules, now).map((decision) => [
      decision.id,
      decision.delete ? `goes with the next run of the reaper: ${decision.why}` : decision.why,
    ]),
  );
  return snapshots.map((snapshot) =>
    ofSnapshot(snapshot, { status: snapshot.status, why: reasons.get(snapshot.id) ?? '' }, copies, now),
  );
}

/** Those that are gone here: each once, in however many places it is. */
function ofCopiesOnly(copies: readonly Copy[], here: ReadonlySet<string>, now: Date): Point[] {
  return copies
    .filter(({ id }, index) => !here.has(id) && copies.findIndex((copy) => copy.id === id) === index)
    .map((copy) => {
      const places = copies.filter(({ id }) => id === copy.id).map(({ place }) => placeName(place));
      const status = `only in ${places.join(' and in ')}: bring it back first`;
      return ofSnapshot(copy, { status, why: copy.why }, copies, now);
    });
}

function ofSnapshot(
  snapshot: OwnSnapshot,
  { status, why }: Pick<Point, 'status' | 'why'>,
  copies: readonly Copy[],
  now: Date,
): Point {
  return {
    kind: snapshot.role,
    id: snapshot.id,
    time: snapshot.databaseTime.toISOString(),
    ageHours: ageHours(snapshot.databaseTime, now),
    status,
    migrations: [...snapshot.migrations],
    outcome: snapshot.outcome,
    commit: snapshot.commit,
    actor: snapshot.actor,
    sizeGiB: snapshot.sizeGiB,
    expiresAt: snapshot.expiresAt?.toISOString() ?? null,
    why,
    copies: copies
      .filter(({ id }) => id === snapshot.id)
      .map((copy) => ({
        ...copy.place,
        status: copy.status,
        expiresAt: copy.expiresAt?.toISOString() ?? null,
      })),
    restore: { to: 'snapshot', snapshotId: snapshot.id },
  };
}

function ofSnapshotByHand(snapshot: DBSnapshot, now: Date): Point {
  const { DBSnapshotIdentifier: id = '', SnapshotDatabaseTime, SnapshotCreateTime } = snapshot;
  const at = SnapshotDatabaseTime ?? SnapshotCreateTime ?? new Date(0);
  return {
    kind: 'by-hand',
    id,
    time: at.toISOString(),
    ageHours: ageHours(at, now),
    status: snapshot.Status ?? 'unknown',
    migrations: [],
    outcome: null,
    commit: null,
    actor: null,
    sizeGiB: snapshot.AllocatedStorage ?? null,
    expiresAt: null,
    why: 'made by hand, this system does not delete it',
    copies: [],
    restore: { to: 'snapshot', snapshotId: id },
  };
}

/** A second of the automated backups that a deployment marked. */
function ofMarker(
  { time, deploymentId, migrations, outcome }: ReturnType<typeof readMarkers>[number],
  window: Awaited<ReturnType<typeof backupWindow>>,
  now: Date,
): Point {
  const at = new Date(time);
  return {
    kind: 'point-in-time',
    id: deploymentId,
    time,
    ageHours: ageHours(at, now),
    status: window && at >= window.from && at <= window.to ? 'available' : 'outside the window',
    migrations: migrations.map(({ name }) => name).reverse(),
    outcome: outcome ?? null,
    commit: null,
    actor: null,
    sizeGiB: null,
    expiresAt: null,
    why: 'one of the newest 10 markers',
    copies: [],
    restore: { to: 'time', time },
  };
}

function ageHours(time: Date, now: Date): number {
  return Math.round((now.getTime() - time.getTime()) / 360_000) / 10;
}

/** Of exactly the live instance: whether another one is of the same database nobody can know. */
async function snapshotsByHand(
  rds: RDSClient,
  resourceId: string,
  own: ReadonlySet<string>,
): Promise<DBSnapshot[]> {
  return (await listSnapshots(rds, { SnapshotType: 'manual', DbiResourceId: resourceId })).filter(
    ({ DBSnapshotIdentifier: id = '', TagList, Engine }) =>
      !own.has(id) && Engine === 'postgres' && readMarks(TagList).role !== 'passing',
  );
}

/** The live instance, also where only its snapshots say which one it was. */
async function liveOrWhyNot({
  rds,
  secrets,
  databaseUrlSecretId,
  environment,
}: {
  readonly rds: RDSClient;
  readonly secrets: SecretsManagerClient;
  readonly databaseUrlSecretId: string;
  readonly environment: EnvironmentName;
}): Promise<{
  known: { instanceId: string; resourceId: string; settings: DBInstance } | undefined;
  problem: string | null;
}> {
  try {
    const { live, settings, status } = await findLiveOrGone(rds, secrets, databaseUrlSecretId, environment);
    const { instanceId, resourceId, state } = live;
    const problem = {
      there: null,
      dead: `Instance ${instanceId}, which DATABASE_URL names, is "${status}": RDS cannot bring it back.`,
      gone: `Instance ${instanceId}, which DATABASE_URL names, is gone: it was deleted.`,
    }[state];
    return { known: { instanceId, resourceId, settings }, problem };
  } catch (error) {
    if (error instanceof LiveInstanceUnclear || error instanceof SecretUnclear)
      return { known: undefined, problem: error.message };
    throw error;
  }
}

interface Place {
  readonly region: string;
  readonly account?: string;
}
type Copy = OwnSnapshot & { readonly place: Place; readonly why: string };

function placeName({ region, account }: Place): string {
  return account === undefined ? region : `account ${account}`;
}

/** The copies in other places, with what keeps them there. */
async function copiesOf(
  {
    copies,
    vault,
    environment,
  }: {
    readonly copies?: { readonly elsewhere: RDSClient; readonly rules: CopyRules } | undefined;
    readonly vault?: Vault | undefined;
    readonly environment: EnvironmentName;
  },
  now: Date,
): Promise<{ copies: Copy[]; notListed: string[] }> {
  const inRegion = copies && (await listOwnSnapshots(copies.elsewhere, environment, undefined));
  const inVault = vault && (await lookIntoVault(vault, environment));
  return {
    copies: [
      ...(copies && inRegion
        ? withReasons(inRegion, copies.rules, now, () => ({ region: copies.rules.region }))
        : []),
      ...(vault && inVault
        ? withReasons(inVault.copies, vault.rules, now, ({ arn }) => ({
            region: arn.split(':')[3] ?? '',
            account: vault.rules.account,
          }))
        : []),
    ],
    notListed:
      vault && inVault?.closed !== undefined ? [`account ${vault.rules.account}: ${inVault.closed}`] : [],
  };
}

function withReasons(
  found: readonly OwnSnapshot[],
  rules: RetentionRules,
  now: Date,
  placeOf: (copy: OwnSnapshot) => Place,
): Copy[] {
  const reasons = new Map(decide(found, rules, now).map(({ id, why }) => [id, why]));
  return found.map((copy) => ({ ...copy, place: placeOf(copy), why: reasons.get(copy.id) ?? '' }));
}
