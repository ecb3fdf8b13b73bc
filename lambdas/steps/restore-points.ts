import type { RDSClient } from '@aws-sdk/client-rds';
import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type * as z from 'zod/mini';
import type {
  CopyRules,
  EnvironmentName,
  RestorePointsEvent,
  RestorePointsResult,
  RetentionRules,
} from '../contract';
import { findLiveInstance } from '../live-instance';
import { backupWindow, readMarkers } from '../point-in-time';
import { decide } from '../retention';
import { listOwnSnapshots, type OwnSnapshot } from '../snapshot-catalogue';
import { heldName } from '../tags';

type Point = RestorePointsResult['points'][number];

/** Lists what the database can go back to: snapshots and their copies, markers of deployments and the window of the automated backups. */
export async function restorePoints(
  event: z.infer<typeof RestorePointsEvent>,
  deps: {
    rds: RDSClient;
    secrets: SecretsManagerClient;
    environment: EnvironmentName;
    databaseUrlSecretId: string;
    rules: RetentionRules;
    copies?: { elsewhere: RDSClient; rules: CopyRules } | undefined;
    now: () => Date;
  },
): Promise<RestorePointsResult> {
  const { rds, environment, rules } = deps;
  const now = deps.now();
  const { instance, address } = await findLiveInstance(rds, deps.secrets, deps.databaseUrlSecretId);
  const snapshots = await listOwnSnapshots(rds, environment, instance);
  const window = await backupWindow(rds, address.resourceId);
  const reasons = new Map(
    decide(snapshots, rules, now).map((decision) => [
      decision.id,
      decision.delete ? `goes with the next run of the reaper: ${decision.why}` : decision.why,
    ]),
  );
  const ageHours = (time: Date): number => Math.round((now.getTime() - time.getTime()) / 360_000) / 10;
  const copies = await copiesIn(deps, now);
  const pointOf = (snapshot: OwnSnapshot, more: Pick<Point, 'status' | 'why'>): Point => ({
    kind: snapshot.role,
    id: snapshot.id,
    time: snapshot.databaseTime.toISOString(),
    ageHours: ageHours(snapshot.databaseTime),
    migrations: [...snapshot.migrations],
    outcome: snapshot.outcome,
    commit: snapshot.commit,
    actor: snapshot.actor,
    sizeGiB: snapshot.sizeGiB,
    expiresAt: snapshot.expiresAt?.toISOString() ?? null,
    copies: copies
      .filter(({ id }) => id === snapshot.id)
      .map(({ region, status, expiresAt }) => ({
        region,
        status,
        expiresAt: expiresAt?.toISOString() ?? null,
      })),
    restore: { to: 'snapshot', snapshotId: snapshot.id },
    ...more,
  });
  const here = new Set(snapshots.map(({ id }) => id));
  const points: Point[] = [
    ...snapshots.map((snapshot) =>
      pointOf(snapshot, { status: snapshot.status, why: reasons.get(snapshot.id) ?? '' }),
    ),
    ...copies
      .filter(({ id }) => !here.has(id))
      .map((copy) => pointOf(copy, { status: `only in ${copy.region}: bring it back first`, why: copy.why })),
    ...readMarkers(instance.TagList).map(({ time, deploymentId, migrations, outcome }): Point => {
      const at = new Date(time);
      return {
        kind: 'point-in-time',
        id: deploymentId,
        time,
        ageHours: ageHours(at),
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
    }),
  ];
  return {
    environment,
    liveInstanceId: address.instanceId,
    window: window ? { from: window.from.toISOString(), to: window.to.toISOString() } : null,
    points: points
      .filter(({ kind }) => event.kind === undefined || kind === event.kind)
      .filter(
        ({ migrations }) => event.migration === undefined || migrations.includes(heldName(event.migration)),
      )
      .filter(({ time }) => event.since === undefined || Date.parse(time) >= Date.parse(event.since))
      .sort((a, b) => Date.parse(b.time) - Date.parse(a.time))
      .slice(0, event.limit),
  };
}

/** The copies in the other Region, with what keeps them there. */
async function copiesIn(
  {
    copies,
    environment,
  }: {
    readonly copies?: { readonly elsewhere: RDSClient; readonly rules: CopyRules } | undefined;
    readonly environment: EnvironmentName;
  },
  now: Date,
): Promise<(OwnSnapshot & { readonly region: string; readonly why: string })[]> {
  if (!copies) return [];
  const found = await listOwnSnapshots(copies.elsewhere, environment, undefined);
  const reasons = new Map(decide(found, copies.rules, now).map(({ id, why }) => [id, why]));
  return found.map((copy) => ({ ...copy, region: copies.rules.region, why: reasons.get(copy.id) ?? '' }));
}
