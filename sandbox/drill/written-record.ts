import type { Check } from '../../lambdas/contract/checks';
import { RecoveryRecord } from '../../lambdas/recovery-record';
import { check } from './scenario-checks';
import type { RecoveryRun } from './recovery';
import type { Stage } from './stage';

/** Real milliseconds: the function is called when the execution has ended, and nobody waits for it. */
const PATIENCE = 5 * 60_000;

/** The record of a recovery is there, and says what the execution itself says. */
export async function recordIsWritten(stage: Stage, run: RecoveryRun): Promise<Check> {
  const name = 'The record of the recovery is kept, and is true';
  const key = `${run.startedAt.toISOString().slice(0, 10)}/${run.name}`;
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const [json, page] = [await stage.record(`${key}.json`), await stage.record(`${key}.md`)];
    const record = json === undefined ? undefined : RecoveryRecord.parse(JSON.parse(json));
    // Of a redriven execution there is an older version first.
    const isNewest = record?.execution.endedAt === run.endedAt.toISOString();
    if (record && page !== undefined && isNewest) return check(name, ...truth(record, page, run));
    if (Date.now() > deadline)
      return check(name, false, json === undefined ? `${key}.json is not there` : json);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function truth(record: RecoveryRecord, page: string, run: RecoveryRun): [ok: boolean, detail: string] {
  const { execution, measured, steps, requestedBy, reason } = record;
  const proved = run.states.filter(({ name }) => name === 'Prove').at(-1);
  // A rename recovers nothing: its record has the outage instead.
  const isRename = run.states.some(({ name }) => name === 'Rename');
  const isProven = proved !== undefined && !isRename && !run.states.some(({ name }) => name === 'SwapBack');
  const seconds = isProven
    ? (proved.enteredAt.getTime() + proved.milliseconds - run.startedAt.getTime()) / 1000
    : null;
  const wrong = [
    execution.status === run.status || 'the status',
    execution.error === (run.error ?? null) || 'the error',
    execution.end === run.states.at(-1)?.name || 'the last state',
    (requestedBy !== null && reason !== null) || 'who and why',
    steps.every(({ state }) => run.states.some(({ name }) => name === state)) || 'the steps',
    measured.recoverySeconds === seconds ||
      Math.abs((measured.recoverySeconds ?? 0) - (seconds ?? 0)) < 0.2 ||
      'the time to recover',
    isRename ===
      (measured.closedSeconds !== null && record.renamed !== null && measured.recoverySeconds === null) ||
      'the outage',
    // A verification that failed says of each check how it went.
    run.error !== 'VerificationFailed' ||
      (record.checks.length > 10 && record.checks.some(({ ok, severity }) => !ok && severity === 'error')) ||
      'the checks',
    page.includes(execution.arn.split(':').at(-1) ?? '') || 'the page',
  ].filter((each) => each !== true);
  const found = `${execution.end ?? ''}, ${steps.length} steps, ${record.checks.length} checks, ${record.decisions.length} decisions`;
  return [wrong.length === 0, wrong.length === 0 ? found : `wrong: ${wrong.join(', ')}`];
}
