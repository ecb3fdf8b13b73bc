import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TeamCheck } from '../lambdas/team-checks';

/** All of them together; the function that runs them has a quarter of an hour, and checks of its own. */
const MAX_SECONDS = 360;
const MAX_SECONDS_OF_ONE = 300;
const DEFAULTS = { severity: 'error', timeoutSeconds: 30 } as const;
const HEADERS = 'severity (error or warning) and timeout (as 30s or 2m)';

/**
 * The team's own checks: the `.sql` files of a folder (checks/README.md), none where there is no such folder.
 * @throws Error that names the file, what is wrong and what is allowed
 */
export function readTeamChecks(directory: string): TeamCheck[] {
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory)
    .filter((name) => name !== 'README.md')
    .sort();
  const checks = names.map((name) => parseTeamCheck(name, readFileSync(join(directory, name), 'utf8')));
  const seconds = checks.reduce((sum, { timeoutSeconds }) => sum + timeoutSeconds, 0);
  if (seconds > MAX_SECONDS)
    throw new Error(
      `The ${checks.length} checks of ${directory} may take ${seconds} seconds together, allowed are ${MAX_SECONDS}. Write lower timeouts.`,
    );
  return checks;
}

/** One file: headers as comments at its top, then one query. */
export function parseTeamCheck(name: string, text: string): TeamCheck {
  const wrong = (what: string): Error => new Error(`checks/${name}: ${what}`);
  if (!/^[a-z0-9][a-z0-9_-]{0,99}\.sql$/.test(name))
    throw wrong('is no name for a check. Only README.md and names like orders-have-lines.sql are allowed.');
  const lines = text.split(/\r?\n/);
  const firstOfQuery = lines.findIndex((line) => !/^\s*(?:--.*)?$/.test(line));
  if (firstOfQuery < 0) throw wrong('has no query.');
  const headers = new Map<string, string>();
  for (const [index, line] of lines.entries()) {
    const [, key = '', value = ''] = /^\s*--\s*([A-Za-z]+)\s*:\s*(.*?)\s*$/.exec(line) ?? [];
    if (key === '') continue;
    const where = `line ${index + 1}`;
    const known = key === 'severity' || key === 'timeout';
    if (index > firstOfQuery && known)
      throw wrong(`${where}: the header "${key}" must stand above the query.`);
    if (index > firstOfQuery) continue;
    if (!known) throw wrong(`${where}: there is no header "${key}". There are ${HEADERS}.`);
    if (headers.has(key)) throw wrong(`${where}: the header "${key}" is there twice.`);
    headers.set(key, value);
  }
  const sql = text.trim();
  refuseOtherThanOneQuery(sql, wrong);
  return {
    name,
    severity: severityOf(headers.get('severity'), wrong),
    timeoutSeconds: secondsOf(headers.get('timeout'), wrong),
    sql,
  };
}

function severityOf(value: string | undefined, wrong: (what: string) => Error): TeamCheck['severity'] {
  if (value === undefined) return DEFAULTS.severity;
  if (value === 'error' || value === 'warning') return value;
  throw wrong(`severity: got "${value}", allowed is error or warning.`);
}

function secondsOf(value: string | undefined, wrong: (what: string) => Error): number {
  if (value === undefined) return DEFAULTS.timeoutSeconds;
  const [, digits, unit] = /^(\d{1,4})(s|m)$/.exec(value) ?? [];
  const seconds = Number(digits) * (unit === 'm' ? 60 : 1);
  if (seconds >= 1 && seconds <= MAX_SECONDS_OF_ONE) return seconds;
  throw wrong(`timeout: got "${value}", allowed is 1s to ${MAX_SECONDS_OF_ONE / 60}m, as 30s or 2m.`);
}

/** Comments, and everything in quotes. */
const NO_CODE = /--[^\n]*|\/\*[\s\S]*?\*\/|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$[\s\S]*?\$\1\$/g;

/** Only what is sure: the database itself refuses the rest, but at night. */
function refuseOtherThanOneQuery(sql: string, wrong: (what: string) => Error): void {
  const code = sql.replace(NO_CODE, ' ').trim().replace(/;\s*$/, '');
  if (!/^(?:select|with|values|table)\b/i.test(code.replace(/^[\s(]+/, '')))
    throw wrong(
      `begins with "${code.slice(0, 20)}". A check is one query: select, with, values or table. It passes where it gives no row.`,
    );
  if (code.includes(';')) throw wrong('has more than one statement. A check is one query.');
}
