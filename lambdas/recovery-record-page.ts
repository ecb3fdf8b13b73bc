import type { RecordedStep } from './recorded-steps';
import type { RecoveryRecord } from './recovery-record';
import { withoutChecks } from './told-checks';

const TITLES: Readonly<Record<string, string>> = {
  drill: 'Drill',
  undo: 'Undo',
  'clean-up': 'Clean-up',
  rename: 'Rename',
};

/** The record as a page for people, in Markdown. Times are UTC. */
export function pageOf(record: RecoveryRecord): string {
  const { execution, environment, mode } = record;
  const { startedAt, endedAt, status } = execution;
  return [
    `# ${TITLES[mode] ?? 'Recovery'} ${inline(execution.name)} of ${environment}`,
    `**${execution.end ?? status}** (${status}). ${moment(startedAt)} to ${endedAt === null ? 'now' : moment(endedAt)} UTC` +
      `${execution.seconds === null ? '' : `, ${span(execution.seconds)}`}${execution.redrives > 0 ? `, redriven ${execution.redrives === 1 ? 'once' : `${execution.redrives} times`}` : ''}.`,
    ...(execution.error === null
      ? []
      : [`Error: \`${execution.error}\``, quote(withoutChecks(execution.cause ?? 'no cause was given'))]),
    table(['', ''], facts(record)),
    '## Decisions',
    table(
      ['time', 'by', 'decision', 'why'],
      record.decisions.map(({ at, by, what, why }) => [clock(at), by, what, why ?? '']),
    ),
    '## Steps',
    table(['start', 'step', 'took', 'calls', 'ended'], record.steps.map(stepRow)),
    '## Checks',
    record.checks.length === 0
      ? 'None was made.'
      : table(
          ['step', 'check', '', 'what was found'],
          record.checks.map(({ state, name, ok, detail, severity }) => [
            state,
            name,
            ok ? 'yes' : severity === 'warning' ? 'no, a warning' : 'NO',
            detail,
          ]),
        ),
    '## Waited for, and gone wrong',
    problems(record.steps),
    `Execution: \`${execution.arn}\`. All results are in the JSON document beside this page.`,
    '',
  ].join('\n\n');
}

function takenAway(migrations: readonly string[] | null, mode: string): string {
  if (mode === 'undo') return 'not looked for: they are as the new instance had them';
  return migrations === null ? 'not known' : migrations.join(', ') || 'none';
}

function facts(record: RecoveryRecord): string[][] {
  const { execution, requestedBy, reason, mode, restored, renamed, measured, namedBy } = record;
  const { recoverySeconds, lossSeconds, closedSeconds } = measured;
  const recoversNothing = mode === 'clean-up' || mode === 'rename';
  return [
    ['Who', requestedBy ?? 'not said'],
    ['Why', reason ?? 'not said'],
    ['Mode', mode],
    ...(renamed
      ? [
          [
            execution.end === 'Renamed' ? 'Renamed' : 'To be renamed',
            `${renamed.from} to ${renamed.to}, the same instance`,
          ],
        ]
      : []),
    ...(restored
      ? [
          ['Restored', `${restored.from}, as of ${moment(restored.asOf)}`],
          ['Old instance', restored.oldInstance],
          ['New instance', restored.newInstance],
          ['Migrations taken away', takenAway(restored.migrationsTakenAway, mode)],
        ]
      : [['Restored', mode === 'clean-up' || renamed ? 'nothing' : 'nothing: no plan could be made']]),
    ...(recoversNothing
      ? []
      : [
          [
            'Time to recover (RTO)',
            recoverySeconds === null
              ? 'none: no cutover was proven'
              : `${span(recoverySeconds)}, from the start to the proven cutover`,
          ],
          [
            'Writes lost (RPO)',
            lossSeconds === null
              ? 'none: the old database was never closed'
              : `those of ${span(lossSeconds)}, from the restore point until the old database was closed`,
          ],
        ]),
    [
      'Without a database',
      closedSeconds === null
        ? 'not measured'
        : `${span(closedSeconds)}, ${renamed ? 'from the call to RDS until the application was back' : 'from the fence to the proof'}`,
    ],
    ...(namedBy === null || namedBy.length === 0
      ? []
      : [
          [
            'Alarms and dashboards',
            `that know the instance by its name: ${namedBy.join(', ')}. Runbook, "Dashboards and alarms that follow".`,
          ],
        ]),
    ...(mode === 'recover' && recoverySeconds !== null
      ? [
          [
            'CloudFormation',
            'names the old instance. The stack adopts the new one, without an outage: npm run adopt. Or that gets the old name back, with one: start the machine with {"mode":"rename"}, once the old one is deleted. Runbook, "After a recovery".',
          ],
        ]
      : []),
  ];
}

function stepRow({ state, startedAt, seconds, calls, outcome }: RecordedStep): string[] {
  return [clock(startedAt), state, seconds === null ? '' : span(seconds), String(calls), outcome];
}

function problems(steps: readonly RecordedStep[]): string {
  const rows = steps.flatMap(({ state, problems: found }) =>
    found.map(({ error, message, times, from, until }) => [
      times === 1 ? clock(from) : `${clock(from)} to ${clock(until)}`,
      state,
      String(times),
      `${error}: ${withoutChecks(message)}`,
    ]),
  );
  return rows.length === 0 ? 'Nothing.' : table(['time', 'step', 'times', 'answer'], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(inline).join(' | ')} |`;
  return [line(head), `|${head.map(() => ' --- |').join('')}`, ...rows.map(line)].join('\n');
}

/** What people and databases wrote must not become markup. */
function inline(text: string): string {
  return text.replace(/[\\|<`*_[\]]/g, '\\$&').replace(/\s+/g, ' ');
}

function quote(text: string): string {
  return text
    .split('\n')
    .map((line) => `> ${inline(line)}`)
    .join('\n');
}

/** `2026-11-22 10:02:11` */
function moment(time: string): string {
  return time === '' ? 'an unknown time' : `${time.slice(0, 10)} ${clock(time)}`;
}

function clock(time: string): string {
  return time.slice(11, 19);
}

function span(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${seconds} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
