import type * as z from 'zod/mini';
import type { SoakEvent, SoakResult } from '../contract/retirement';
import { refuseIfOvertaken } from '../overtaken';
import {
  alarmFindings,
  counterFindings,
  lookAtNew,
  lookAtOld,
  type Finding,
  type LookDeps,
} from '../soak-findings';

export interface SoakDeps extends LookDeps {
  readonly now: () => Date;
}

/** Between two looks; a long soak has at most MOST_LOOKS of them. */
const SHORTEST_PAUSE_SECONDS = 60;
const MOST_LOOKS = 120;

/**
 * One look at the two databases while the recovery soaks: what is wrong, compared with the looks before. The machine calls again until it
 * is enough: until the time is over with nothing found, or something counts as a problem. It changes nothing and decides nothing. Throws
 * RecoveryOvertaken.
 */
export async function soak(event: z.output<typeof SoakEvent>, deps: SoakDeps): Promise<SoakResult> {
  const { recovery, instance, alarms, sessionsExpected } = event;
  await refuseIfOvertaken(recovery, [instance], deps);
  const now = deps.now();
  const since = event.soak?.since ?? now.toISOString();
  const until = event.soak?.until ?? new Date(now.getTime() + recovery.soakMinutes * 60_000).toISOString();
  const isOver = now.toISOString() >= until;

  const [ofNew, ofOld] = await Promise.all([lookAtNew(instance, deps), lookAtOld(recovery, deps)]);
  const first: SoakResult['first'] = {
    deadlocks: event.soak?.first.deadlocks ?? ofNew.counters?.deadlocks ?? null,
    oldWrites: event.soak?.first.oldWrites ?? ofOld.writes ?? null,
    sessions: event.soak?.first.sessions ?? ofNew.counters?.applicationSessions ?? null,
  };
  const found: Finding[] = [
    ...alarmFindings(alarms, recovery.soakAlarms, since),
    ...ofNew.findings,
    ...(ofNew.counters
      ? counterFindings(ofNew.counters, {
          since: event.soak?.last ?? ofNew.counters,
          deadlocksBefore: first.deadlocks ?? 0,
          usualShare: ofOld.usualShare,
          sessionsExpected: sessionsExpected || (first.sessions ?? 0) > 0,
        })
      : []),
    ...ofOld.findings,
    ...(ofOld.writes !== undefined && first.oldWrites !== null && ofOld.writes > first.oldWrites
      ? [
          {
            what: 'something writes to the old database',
            detail: `${ofOld.writes - first.oldWrites} rows of its tables were changed since ${since}.`,
            counts: 'now' as const,
          },
        ]
      : []),
  ];

  const findings = found.map(({ what, detail, counts }) => {
    const looks = 1 + (event.soak?.findings.find((one) => one.what === what)?.looks ?? 0);
    const isProblem = counts === 'now' || (counts === 'twice' ? looks > 1 : isOver);
    return { what, detail, looks, isProblem };
  });
  const problems = findings.filter(({ isProblem }) => isProblem);
  const pause = Math.max(SHORTEST_PAUSE_SECONDS, Math.ceil((recovery.soakMinutes * 60) / MOST_LOOKS));
  const left = Math.ceil((Date.parse(until) - now.getTime()) / 1000);
  return {
    since,
    until,
    looks: (event.soak?.looks ?? 0) + 1,
    first,
    last: ofNew.counters
      ? { commits: ofNew.counters.commits, rollbacks: ofNew.counters.rollbacks }
      : (event.soak?.last ?? null),
    findings: findings.map(({ what, detail, looks }) => ({ what, detail, looks })),
    problems: problems.map(({ what, detail }) => `${what}: ${detail}`),
    // What was seen once for the first time at the end is looked at once more.
    enough: problems.length > 0 || (isOver && findings.length === 0),
    pauseSeconds: left > 0 ? Math.min(pause, left) : SHORTEST_PAUSE_SECONDS,
  };
}
