import type { Check } from '../../lambdas/contract/checks';
import type { Sandbox } from '../sandbox';
import type { DrillReport } from './report';
import type { RecoveryRun } from './recovery';
import type { Scenario } from './scenario';
import { safeEnd } from './safe-end';
import { recordIsWritten } from './written-record';
import { noPasswordIsLeft } from './secrecy';
import { Stage } from './stage';
import type { Timeline } from './timeline';

/** Plays one scenario in a fresh sandbox and reports what is true afterwards. */
export async function runDrill(
  scenario: Scenario,
  options: {
    readonly rows: number;
    readonly timeline: Timeline;
    readonly start: () => Promise<Sandbox>;
    /** A cloud assembly that was synthesised before. */
    readonly app: string | undefined;
  },
): Promise<DrillReport> {
  const { rows, timeline, start, app } = options;
  const began = Date.now();
  timeline.heading('A local AWS over real PostgreSQL; nothing leaves this machine');
  const sandbox = await timeline.step(
    'Start it',
    start,
    ({ context, postgres }) => `${context.endpoint}, PostgreSQL ${postgres.version}`,
  );
  const { cdkApp } = scenario;
  const stage = await Stage.set(sandbox, timeline, rows, cdkApp === undefined ? app : undefined, cdkApp);
  try {
    const played = await scenario.play(stage);
    timeline.heading('What is true now');
    const { run, before } = played;
    const { after, checks, live, instances } = await timeline.step(
      'Ask the databases and the APIs',
      async () => {
        const after = await stage.digest();
        // A recovery may fail of what was planned to go wrong, but not harm anything.
        const failed = sandbox.faults.fired().length > 0 && run.status === 'FAILED';
        const outcome = { ...played, after };
        const checks = [
          ...(await (failed ? safeEnd(stage, outcome) : scenario.check(stage, outcome))),
          await recordIsWritten(stage, run),
          await noPasswordIsLeft(stage, run),
          ...everyFaultHappened(sandbox),
        ];
        const [live, instances] = await Promise.all([stage.live(), stage.instances()]);
        return { after, checks, live, instances };
      },
    );
    return {
      scenario: scenario.name,
      asExpected: checks.length > 0 && checks.every(({ ok }) => ok),
      executionStatus: run.status,
      states: run.states.map(({ name, enteredAt, milliseconds }) => ({
        name,
        enteredAt: enteredAt.toISOString(),
        milliseconds,
      })),
      timings: {
        totalMs: run.endedAt.getTime() - run.startedAt.getTime(),
        restoreMs: spent(run, ['StartRestore', 'CheckRestoredInstance']),
        cutoverMs: spent(run, ['Fence', 'Swap', 'Prove']),
        drillMs: Date.now() - began,
      },
      instances: instances.map(
        ({ DBInstanceIdentifier = '', DBInstanceStatus = '', DbiResourceId, TagList = [] }) => ({
          id: DBInstanceIdentifier,
          role:
            DbiResourceId === live.instance.DbiResourceId
              ? 'live'
              : (TagList.find(({ Key }) => Key === 'migration-rollback:role')?.Value ?? 'unknown'),
          status: DBInstanceStatus,
        }),
      ),
      secret: {
        instanceId: live.instance.DBInstanceIdentifier ?? '',
        host: live.host,
        port: live.port,
        versionId: live.versionId,
      },
      checks,
      data: {
        rowsBefore: before.rows,
        rowsAfter: after.rows,
        digestBefore: before.digest,
        digestAfter: after.digest,
      },
    };
  } finally {
    await stage.leave();
  }
}

/** One that did not happen has rehearsed nothing. */
function everyFaultHappened({ faults }: Sandbox): Check[] {
  const [fired, unfired] = [faults.fired(), faults.unfired()];
  if (fired.length === 0 && unfired.length === 0) return [];
  const times = new Map<string, number>();
  for (const { fault, operation, caller } of fired) {
    const text = `${fault.fault} at ${operation} by ${caller}`;
    times.set(text, (times.get(text) ?? 0) + 1);
  }
  const happened = [...times].map(([text, count]) => (count === 1 ? text : `${text}, ${count} times`));
  const missing = unfired.map(({ fault, at }) => `${fault} at ${at.operation}`);
  return [
    {
      name: 'Every planned fault happened',
      ok: unfired.length === 0,
      detail: unfired.length === 0 ? happened.join('; ') : `not: ${missing.join('; ')}`,
    },
  ];
}

function spent(run: RecoveryRun, states: readonly string[]): number {
  return run.states
    .filter(({ name }) => states.includes(name))
    .reduce((sum, { milliseconds }) => sum + milliseconds, 0);
}
