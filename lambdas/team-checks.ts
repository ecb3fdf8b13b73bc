import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import type { VerificationCheck } from './contract/checks';
import { QueryFailed } from './errors';
import { withConnection, type Login, type ReadRows } from './postgres';

/** A check that the team wrote (checks/README.md). `lib/team-checks.ts` reads them when the functions are bundled. */
const TeamCheck = z.object({
  /** Of its file. */
  name: z.string(),
  severity: z.enum(['error', 'warning']),
  timeoutSeconds: z.int(),
  /** One query; it passes where it gives no row. */
  sql: z.string(),
});
export type TeamCheck = z.infer<typeof TeamCheck>;

/** The checks that stand beside the bundle of the function. */
export function bundledTeamChecks(): TeamCheck[] {
  return z.array(TeamCheck).parse(JSON.parse(readFileSync(join(__dirname, 'checks.json'), 'utf8')));
}

/** Rows that are counted, and of these how many are named. */
const MOST_ROWS = 100;
const NAMED_ROWS = 5;

/**
 * Runs the team's checks, each as the application, alone, reading only, and no longer than it may. Rows block or are reported;
 * a check that cannot be run, for instance since its table did not exist yet, is reported. Throws DatabaseUnreachable.
 */
export async function runTeamChecks(
  login: Login,
  checks: readonly TeamCheck[],
): Promise<VerificationCheck[]> {
  const results: VerificationCheck[] = [];
  for (const check of checks) results.push(await run(login, check));
  return results;
}

async function run(
  login: Login,
  { name, severity, timeoutSeconds, sql }: TeamCheck,
): Promise<VerificationCheck> {
  try {
    const found = await withConnection(
      login,
      (connection) => connection.readOnly(sql, { shown: NAMED_ROWS, counted: MOST_ROWS + 1 }),
      { statementTimeoutMs: timeoutSeconds * 1000 },
    );
    return found.count === 0
      ? { name, severity, ok: true, detail: 'No rows.' }
      : { name, severity, ok: false, detail: describe(found) };
  } catch (error) {
    if (!(error instanceof QueryFailed)) throw error;
    const detail = `It could not be run: ${reason(error, timeoutSeconds)}`;
    return { name, severity: 'warning', ok: false, detail };
  }
}

/** int8, int2, int4, oid, uuid: they name a row and say nothing about a person. */
const KEY_TYPES = [20, 21, 23, 26, 2950];

/** How many rows, which columns, and the first column's first values where it is a number or a UUID. No other value leaves. */
function describe({ columns, rows, count }: ReadRows): string {
  const many = count > MOST_ROWS ? `More than ${MOST_ROWS}` : String(count);
  const [first] = columns;
  const names = columns.map(({ name }) => name).join(', ');
  const text = `${many} ${count === 1 ? 'row' : 'rows'} (${names.slice(0, 200)}).`;
  if (!first || !KEY_TYPES.includes(first.type)) return text;
  const keys = rows.map(([key]) => String(key));
  return `${text} ${first.name}: ${keys.join(', ')}${count > rows.length ? ', …' : ''}`;
}

const TIMED_OUT = '57014';

/** PostgreSQL's words where they are about the query; elsewhere they may repeat a value. */
function reason({ fact, sqlState = 'unknown' }: QueryFailed, timeoutSeconds: number): string {
  if (sqlState === TIMED_OUT) return `it took longer than its ${timeoutSeconds} seconds.`;
  if (/^(?:42|25|0A)/.test(sqlState)) return fact.slice(0, 300);
  return `SQLSTATE ${sqlState}; the log of the instance has PostgreSQL's words.`;
}
