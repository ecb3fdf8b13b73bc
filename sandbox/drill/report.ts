import colors from 'picocolors';
import type { Check } from '../../lambdas/contract/checks';
import { duration } from './timeline';

/** What a drill proves, as `--json` prints it. Everything in it is read from the APIs and the databases afterwards. */
export interface DrillReport {
  readonly scenario: string;
  readonly asExpected: boolean;
  /** How the execution of the recovery machine ended. */
  readonly executionStatus: string;
  /** On the sandbox's clock, which jumps over waiting: the times that AWS would take. */
  readonly states: readonly {
    readonly name: string;
    readonly enteredAt: string;
    readonly milliseconds: number;
  }[];
  readonly timings: {
    /** From start to end of the recovery, and of its parts, on the sandbox's clock. */
    readonly totalMs: number;
    readonly restoreMs: number;
    /** From the fence's begin to the proof's end. */
    readonly cutoverMs: number;
    /** The whole drill in real time. */
    readonly drillMs: number;
  };
  readonly instances: readonly { readonly id: string; readonly role: string; readonly status: string }[];
  /** What DATABASE_URL names at the end. */
  readonly secret: {
    readonly instanceId: string;
    readonly host: string;
    readonly port: number;
    readonly versionId: string;
  };
  readonly checks: readonly Check[];
  /** Every row of every table of the app: before the bad migration, and at the end through DATABASE_URL. */
  readonly data: {
    readonly rowsBefore: number;
    readonly rowsAfter: number;
    readonly digestBefore: string;
    readonly digestAfter: string;
  };
}

/** What `--json` prints of a drill that broke off. */
export interface UnfinishedDrill {
  readonly scenario: string;
  readonly asExpected: false;
  /** What broke. */
  readonly reason: string;
}

/** The report for a person, in 80 columns. */
export function summary(report: DrillReport): string {
  const { timings, data, secret } = report;
  const checks = report.checks.flatMap(({ name, ok, detail }) => [
    `  ${ok ? colors.green('✔') : colors.red('✖')} ${name}`,
    `    ${colors.dim(detail)}`,
  ]);
  const verdict = report.asExpected
    ? colors.green(colors.bold('As expected.'))
    : colors.red(colors.bold('NOT as expected.'));
  const rows = (count: number): string => `${count.toLocaleString('en')} rows`;
  return [
    ...checks,
    '',
    `Recovery  ${report.executionStatus}, in ${duration(timings.totalMs)} of AWS's time`,
    `          (restore ${duration(timings.restoreMs)}, cutover ${duration(timings.cutoverMs)})`,
    `Data      ${rows(data.rowsBefore)} before the bad migration, digest ${data.digestBefore.slice(0, 12)}`,
    `          ${rows(data.rowsAfter)} at the end, digest ${data.digestAfter.slice(0, 12)}`,
    `Live      ${secret.instanceId} at ${secret.host}:${secret.port}`,
    `Drill     ${duration(timings.drillMs)} in all`,
    '',
    verdict,
    '',
  ].join('\n');
}
