import { z } from 'zod';

/** What the function `<env>-restore-points` answers, as far as it is shown. */
export const RestorePoints = z.object({
  environment: z.string(),
  liveInstanceId: z.string().nullable(),
  liveProblem: z.string().nullable().default(null),
  window: z.object({ from: z.string(), to: z.string() }).nullable(),
  points: z.array(
    z.object({
      kind: z.string(),
      id: z.string(),
      time: z.string(),
      ageHours: z.number(),
      status: z.string(),
      migrations: z.array(z.string()),
      outcome: z.string().nullable(),
      commit: z.string().nullable(),
      actor: z.string().nullable(),
      sizeGiB: z.number().nullable(),
      expiresAt: z.string().nullable(),
      why: z.string(),
      copies: z
        .array(
          z.object({
            region: z.string(),
            account: z.string().optional(),
            status: z.string(),
            expiresAt: z.string().nullable(),
          }),
        )
        .default([]),
    }),
  ),
  notListed: z.array(z.string()).default([]),
});
export type RestorePoints = z.infer<typeof RestorePoints>;
type Point = RestorePoints['points'][number];

const HEAD = ['TIME (UTC)', 'AGE', 'KIND', 'STATUS', 'MIGRATION'];
const INDENT = '    ';

/**
 * A line for each restore point, and under it what is long: its id on a line of its own, whole, since people copy it. No line
 * is wider than `width`, but for an id or a name that is.
 */
export function restorePointsTable(
  { environment, liveInstanceId, liveProblem, window, points, notListed }: RestorePoints,
  width: number,
  { migration, kind, since }: Partial<Record<'migration' | 'kind' | 'since', string | undefined>> = {},
): string {
  const rows = points.map((point) => [
    seconds(point.time),
    age(point.ageHours),
    point.kind,
    isShort(point.status) ? point.status : 'only elsewhere',
    point.outcome ?? '',
  ]);
  const columns = HEAD.map((head, index) =>
    Math.max(head.length, ...rows.map((row) => (row[index] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => cell.padEnd(columns[index] ?? 0))
      .join('  ')
      .trimEnd();
  const none = points.length === 0;
  const intro = window
    ? [
        `Every second from ${seconds(window.from)} to ${seconds(window.to)} UTC can be gone back to${none ? '.' : ', and:'}`,
      ]
    : [`There are no automated backups to go back to${none ? '.' : '; there is:'}`];
  const asked = [
    ...(kind === undefined ? [] : [`of kind ${kind}`]),
    ...(since === undefined ? [] : [`since ${since}`]),
    ...(migration === undefined
      ? []
      : [`made with migration "${migration}" pending (look for typing errors)`]),
  ];
  const nothing = `There is no other restore point${asked.length === 0 ? '' : ` ${asked.join(', ')}`}.`;
  const shown = points.flatMap((point, index) => [
    line(rows[index] ?? []),
    ...details(point).flatMap((detail) => wrap(detail, width)),
  ]);
  return [
    ...wrap(`${environment}: ${liveProblem ?? `live is ${liveInstanceId ?? 'not known'}.`}`, width, ''),
    ...intro.flatMap((text) => wrap(text, width, '')),
    ...(none ? wrap(nothing, width, '') : [line(HEAD), ...shown]),
    ...notListed.flatMap((text) => wrap(`Copies there may be missing: ${text}`, width, '')),
  ].join('\n');
}

/** What is long says where it is, and what to do about it. */
function isShort(status: string): boolean {
  return !status.startsWith('only in');
}

function details({ id, status, migrations, actor, commit, sizeGiB, why, copies }: Point): string[] {
  const by = [actor === null ? [] : `by ${actor}`, commit === null ? [] : `commit ${commit.slice(0, 10)}`];
  const size = sizeGiB === null ? [] : `${sizeGiB} GiB`;
  return [
    id,
    ...(isShort(status) ? [] : [status]),
    ...(migrations.length === 0 ? [] : [`migrations: ${migrations.join(', ')}`]),
    [...by, size, `kept: ${why}`].flat().join(', '),
    ...copies.map(copyLine),
  ];
}

function copyLine({ region, account, status, expiresAt }: Point['copies'][number]): string {
  const until = expiresAt === null ? '' : `, until ${seconds(expiresAt)}`;
  const place = account === undefined ? region : `account ${account}`;
  return `copy in ${place}: ${status}${until}`;
}

/** Broken between words; each line after the first a little further in. */
function wrap(text: string, width: number, indent = INDENT): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const start = lines.length === 0 ? indent : `${indent}  `;
    if (line !== '' && start.length + line.length + 1 + word.length > width) {
      lines.push(`${start}${line}`);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, `${lines.length === 0 ? indent : `${indent}  `}${line}`];
}

/** ISO 8601 without the fraction, as people read it. */
function seconds(time: string): string {
  return time.slice(0, 19).replace('T', ' ');
}

function age(hours: number): string {
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}
