import type { DescribeExecutionOutput, HistoryEvent } from '@aws-sdk/client-sfn';
import * as z from 'zod/mini';
import { URL_WITH_PASSWORD } from './contract/texts';
import { jsonOf } from './parse';
import { RecordedStep, iso, messageOf, secondsBetween, stepsOf } from './recorded-steps';
import { readChecks, withoutChecks } from './told-checks';

const RecordedDecision = z.object({
  at: z.string(),
  by: z.string(),
  what: z.string(),
  why: z.nullable(z.string()),
});
type RecordedDecision = z.infer<typeof RecordedDecision>;

const Check = z.object({
  name: z.string(),
  ok: z.boolean(),
  detail: z.string(),
  /** One that is a warning blocks nothing. */
  severity: z.optional(z.string()),
});

/**
 * What is left of a recovery, for people and programs: made from the history of its execution, which Step Functions forgets
 * after 90 days. Times are ISO 8601; null is what is not known or did not happen.
 */
export const RecoveryRecord = z.object({
  /** Raised when the meaning of a member changes. */
  version: z.literal(1),
  environment: z.string(),
  execution: z.object({
    arn: z.string(),
    name: z.string(),
    status: z.string(),
    /** The last state that it entered. */
    end: z.nullable(z.string()),
    startedAt: z.string(),
    endedAt: z.nullable(z.string()),
    seconds: z.nullable(z.number()),
    redrives: z.int(),
    error: z.nullable(z.string()),
    cause: z.nullable(z.string()),
  }),
  mode: z.string(),
  requestedBy: z.nullable(z.string()),
  reason: z.nullable(z.string()),
  /** Null where no plan was made. */
  restored: z.nullable(
    z.object({
      recoveryId: z.string(),
      from: z.string(),
      /** The last moment whose writes are in it. */
      asOf: z.string(),
      why: z.string(),
      oldInstance: z.string(),
      newInstance: z.string(),
      migrationsTakenAway: z.nullable(z.array(z.string())),
    }),
  ),
  /** Alarms and dashboards that knew the instance that was live by its name, as far as that is known; null: not at all. */
  namedBy: z.nullable(z.array(z.string())),
  /** Of a rename; null where no plan was made of one. */
  renamed: z.nullable(z.object({ from: z.string(), to: z.string() })),
  measured: z.object({
    /** RTO: from the start to the proven cutover. */
    recoverySeconds: z.nullable(z.number()),
    /** RPO: from the restore point to the moment when nothing could be written to the old database any more. */
    lossSeconds: z.nullable(z.number()),
    /** The application had no database: from the fence to the proven cutover; of a rename until it was back. */
    closedSeconds: z.nullable(z.number()),
  }),
  decisions: z.array(RecordedDecision),
  checks: z.array(z.extend(Check, { state: z.string() })),
  /** The tasks, in the order in which they began. */
  steps: z.array(RecordedStep),
});
export type RecoveryRecord = z.infer<typeof RecoveryRecord>;

type Execution = Pick<
  DescribeExecutionOutput,
  'executionArn' | 'name' | 'status' | 'startDate' | 'stopDate' | 'input' | 'error' | 'cause' | 'redriveCount'
>;

const text = z.optional(z.nullable(z.string()));
const Input = z.looseObject({
  mode: text,
  reason: text,
  requestedBy: text,
  retire: text,
  verify: z.optional(z.looseObject({ accept: z.optional(z.array(z.string())) })),
});
const Planned = z.looseObject({
  recovery: z.looseObject({
    id: z.string(),
    retire: z.string(),
    live: z.looseObject({ instanceId: z.string() }),
    recoveryInstanceId: z.string(),
    undoes: z.optional(z.looseObject({ recoveryId: z.string() })),
    restorePoint: z.looseObject({
      kind: z.string(),
      snapshotId: text,
      databaseTime: text,
      time: text,
    }),
  }),
  plan: z.looseObject({ why: z.string() }),
});
type Planned = z.infer<typeof Planned>;
const PlannedRename = z.looseObject({
  recovery: z.looseObject({ mode: z.literal('rename'), recoveryInstanceId: z.string() }),
  plan: z.looseObject({ from: z.looseObject({ instanceId: z.string() }) }),
});
const Named = z.looseObject({
  plan: z.looseObject({
    namedBy: z.looseObject({
      alarms: z.nullable(z.array(z.string())),
      dashboards: z.nullable(z.array(z.string())),
    }),
  }),
});
const FinishedRename = z.looseObject({ outage: z.looseObject({ seconds: z.number() }) });
const Verified = z.looseObject({ migrationsTakenAway: z.nullable(z.array(z.string())) });
const Checked = z.looseObject({ checks: z.array(z.unknown()) });
/** How a person answered what the machine asked. */
const Answered = z.looseObject({
  question: z.string(),
  decision: z.string(),
  by: text,
  reason: text,
  at: text,
});
const Reasoned = z.looseObject({ reason: z.string() });
const Settings = z.looseObject({
  settings: z.array(
    z.looseObject({
      name: z.string(),
      live: z.string(),
      recovery: z.string(),
      equal: z.boolean(),
      note: text,
    }),
  ),
});

/** What an execution was started for; a plan, the default, leaves no record. */
export function modeOf(input: string | undefined): string {
  return readInput(input).mode ?? 'plan';
}

export function recordOf(
  environment: string,
  execution: Execution,
  events: readonly HistoryEvent[],
): RecoveryRecord {
  const { steps, end } = stepsOf(events);
  const input = readInput(execution.input);
  const startedAt = iso(execution.startDate);
  const endedAt = execution.stopDate ? iso(execution.stopDate) : null;
  const result = (state: string): unknown =>
    steps.findLast((step) => step.state === state && step.outcome === 'done')?.result;
  const rename = PlannedRename.safeParse(result('Plan')).data;
  const planned = rename ? undefined : Planned.safeParse(result('Plan')).data;
  const verified = Verified.safeParse(result('Verify')).data;
  const { alarms, dashboards } = Named.safeParse(result('Plan')).data?.plan.namedBy ?? {};
  return {
    version: 1,
    environment,
    execution: {
      arn: execution.executionArn ?? '',
      name: execution.name ?? '',
      status: execution.status ?? '',
      end,
      startedAt,
      endedAt,
      seconds: endedAt === null ? null : secondsBetween(startedAt, endedAt),
      redrives: execution.redriveCount ?? 0,
      error: execution.error ?? null,
      cause: execution.cause === undefined ? null : messageOf(execution.cause),
    },
    mode: input.mode ?? 'plan',
    requestedBy: input.requestedBy ?? null,
    reason: input.reason ?? null,
    restored: planned
      ? {
          recoveryId: planned.recovery.id,
          from: restorePointOf(planned),
          asOf: asOf(planned),
          why: planned.plan.why,
          oldInstance: planned.recovery.live.instanceId,
          newInstance: planned.recovery.recoveryInstanceId,
          migrationsTakenAway: verified?.migrationsTakenAway ?? null,
        }
      : null,
    namedBy: alarms || dashboards ? [...(alarms ?? []), ...(dashboards ?? [])] : null,
    renamed: rename ? { from: rename.plan.from.instanceId, to: rename.recovery.recoveryInstanceId } : null,
    measured: rename ? measureRename(steps) : measure(startedAt, planned, steps),
    decisions: decisionsOf(startedAt, input, planned, steps),
    checks: steps.flatMap((step) => checksOf(step).map((check) => ({ state: step.state, ...check }))),
    steps,
  };
}

/** Plan refuses a text with a password in it, but the execution has it. */
function said(text: string | null | undefined): string | null {
  if (text === undefined || text === null) return null;
  return URL_WITH_PASSWORD.test(text) ? 'not shown: there is a password in it' : text;
}

/** Of a step that failed they are in what it failed with. */
function checksOf({ outcome, problems, result }: RecordedStep): z.infer<typeof Check>[] {
  if (outcome === 'failed') return readChecks(problems.at(-1)?.message ?? '');
  return (Checked.safeParse(result).data?.checks ?? []).flatMap((each) => {
    const check = Check.safeParse(each);
    return check.success ? [check.data] : [];
  });
}

/** Whatever was typed in: a recovery with a wrong input leaves a record, too. */
function readInput(input: string | undefined): z.infer<typeof Input> {
  const read = Input.safeParse(jsonOf(input ?? '{}')).data ?? {};
  return { ...read, requestedBy: said(read.requestedBy), reason: said(read.reason) };
}

function restorePointOf({ recovery: { restorePoint, recoveryInstanceId, undoes } }: Planned): string {
  if (undoes) return `instance ${recoveryInstanceId}, which recovery ${undoes.recoveryId} had retired`;
  return restorePoint.kind === 'snapshot'
    ? `snapshot ${restorePoint.snapshotId ?? ''}`
    : 'the automated backups';
}

function asOf({ recovery: { restorePoint } }: Planned): string {
  return restorePoint.databaseTime ?? restorePoint.time ?? '';
}

function measure(
  startedAt: string,
  planned: Planned | undefined,
  steps: readonly RecordedStep[],
): RecoveryRecord['measured'] {
  const done = (state: string) => steps.findLast((step) => step.state === state && step.outcome === 'done');
  const proven = done('Prove')?.endedAt ?? null;
  const fence = done('Fence');
  const closed = fence?.endedAt ?? null;
  return {
    recoverySeconds: proven === null ? null : secondsBetween(startedAt, proven),
    lossSeconds: closed === null || !planned ? null : secondsBetween(asOf(planned), closed),
    closedSeconds: proven === null || !fence ? null : secondsBetween(fence.startedAt, proven),
  };
}

/** It recovers nothing and loses nothing. */
function measureRename(steps: readonly RecordedStep[]): RecoveryRecord['measured'] {
  const finished = steps.findLast(({ state, outcome }) => state === 'FinishRename' && outcome === 'done');
  const closedSeconds = FinishedRename.safeParse(finished?.result).data?.outage.seconds ?? null;
  return { recoverySeconds: null, lossSeconds: null, closedSeconds };
}

function decisionsOf(
  startedAt: string,
  input: z.infer<typeof Input>,
  planned: Planned | undefined,
  steps: readonly RecordedStep[],
): RecordedDecision[] {
  const operator = input.requestedBy ?? 'not said';
  const decisions: RecordedDecision[] = [
    {
      at: startedAt,
      by: operator,
      what: `to start mode "${input.mode ?? 'plan'}"`,
      why: input.reason ?? null,
    },
  ];
  if (planned) {
    const at = steps.findLast(({ state }) => state === 'Plan')?.endedAt ?? startedAt;
    decisions.push({
      at,
      by: 'the machine',
      what: `to go back to ${restorePointOf(planned)}, as of ${asOf(planned)}`,
      why: planned.plan.why,
    });
    decisions.push({
      at,
      by: input.retire === undefined ? 'the default' : operator,
      what: `to ${planned.recovery.retire} the old instance afterwards`,
      why: null,
    });
  }
  if (input.verify?.accept && input.verify.accept.length > 0)
    decisions.push({
      at: startedAt,
      by: operator,
      what: `to accept failed checks: ${input.verify.accept.join(', ')}`,
      why: null,
    });
  for (const step of steps) decisions.push(...decisionsIn(step));
  // What is compared last counts: before the cutover not everything is made equal yet.
  const compared = steps.findLast(({ result }) => Settings.safeParse(result).success);
  if (compared) decisions.push(...differencesIn(compared));
  return decisions.sort((one, other) => one.at.localeCompare(other.at));
}

function decisionsIn({
  state,
  startedAt,
  endedAt,
  result,
  outcome,
  problems,
}: RecordedStep): RecordedDecision[] {
  const at = endedAt ?? startedAt;
  const answered = Answered.safeParse(result).data;
  if (answered)
    return [
      {
        at: answered.at ?? at,
        by: answered.by ?? 'nobody',
        what: `${answered.question}: ${answered.decision}`,
        why: answered.reason ?? null,
      },
    ];
  const [problem] = problems.slice(-1);
  if (outcome === 'failed' && problem && !state.startsWith('Notify'))
    return [
      {
        at,
        by: 'the machine',
        what: `to give up at ${state}`,
        why: `${problem.error}: ${withoutChecks(problem.message)}`,
      },
    ];
  const reasoned = Reasoned.safeParse(result).data;
  return reasoned
    ? [{ at, by: 'the machine', what: `at ${state}: ${wordsOf(result)}`, why: reasoned.reason }]
    : [];
}

function differencesIn({ startedAt, endedAt, result }: RecordedStep): RecordedDecision[] {
  return (Settings.safeParse(result).data?.settings ?? [])
    .filter(({ equal }) => !equal)
    .map(({ name, live, recovery, note }) => ({
      at: endedAt ?? startedAt,
      by: 'the machine',
      what: `to accept that ${name} is ${recovery} instead of ${live}`,
      why: note ?? null,
    }));
}

/** `lifted: false` for what a step answers beside its reason. */
function wordsOf(result: unknown): string {
  const { reason: _, ...others } = z.record(z.string(), z.unknown()).parse(result);
  return Object.entries(others)
    .map(([name, value]) => `${name}: ${JSON.stringify(value)}`)
    .join(', ');
}
