import { z } from 'zod';
import { Decision } from '../../../lambdas/contract/questions';
import { isUp } from '../../../lambdas/rds';
import { OPERATOR, type Scenario } from '../scenario';
import { applicationReaches, check, recovered, secretUntouched } from '../scenario-checks';

export const rejected: Scenario = {
  name: 'rejected',
  shows:
    'a person rejects the cutover, and both databases are kept; redriven it asks again and gets a yes; to the second question nobody answers, and the old database is kept until somebody does',
  badMigration: 'dropped-table',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(rejected.badMigration);
    const liveBefore = await stage.live();
    stage.timeline.heading('The recovery machine asks before the cutover, and somebody says no');
    const failed = await stage.recover(
      {
        mode: 'recover',
        restore: { to: 'latest-pre-migration-snapshot' },
        ...OPERATOR,
        approveCutover: true,
      },
      () => ({ decision: 'reject', by: 'ada', reason: 'not while the shop is open' }),
    );
    const instances = await stage.instances();
    const checks = [
      check(
        'The no ended it FAILED, with name and reason',
        failed.status === 'FAILED' &&
          failed.error === 'NotApproved' &&
          /ada rejected the cutover .*: not while the shop is open/.test(failed.cause ?? ''),
        `${failed.status}, ${failed.error ?? 'no error'}`,
      ),
      await secretUntouched(stage, liveBefore),
      check(
        'Both databases were kept',
        // RDS may be at a snapshot or a first backup of one of them.
        instances.length === 2 && instances.every(({ DBInstanceStatus }) => isUp(DBInstanceStatus)),
        instances
          .map(({ DBInstanceIdentifier: id = '', DBInstanceStatus = '' }) => `${id} is ${DBInstanceStatus}`)
          .join(', '),
      ),
      await applicationReaches(stage, liveBefore, rejected.badMigration),
    ];
    stage.timeline.heading('It is redriven; the cutover is approved, and then nobody is there');
    const unanswered = await stage.redrive(failed, (question) =>
      question === 'cutover' ? { decision: 'approve', by: 'grace', reason: 'it is closed' } : undefined,
    );
    const { DBInstanceIdentifier: old = '' } = liveBefore.instance;
    const kept = await stage.instance(old);
    checks.push(
      check(
        'No answer counted as no, and the old instance was kept',
        unanswered.status === 'FAILED' &&
          unanswered.error === 'NotApproved' &&
          /nobody answered within 24 hours/.test(unanswered.cause ?? '') &&
          isUp(kept?.DBInstanceStatus),
        `${unanswered.status}, ${unanswered.error ?? 'no error'}; ${old} is ${kept?.DBInstanceStatus ?? 'gone'}`,
      ),
    );
    stage.timeline.heading('It is redriven once more, and the old database may go');
    const run = await stage.redrive(unanswered);
    return { before, liveBefore, run, checks };
  },
  async check(stage, outcome) {
    const decided = decisionsIn(outcome.run.output);
    return [
      ...(outcome.checks ?? []),
      check(
        'Every decision is in the outcome, with who made it',
        decided ===
          'cutover rejected by ada, cutover approved by grace, retirement no answer by nobody, retirement approved by drill',
        decided,
      ),
      ...(await recovered(stage, outcome, rejected.badMigration)),
    ];
  },
};

const Output = z.object({ approvals: z.array(z.unknown()) });

function decisionsIn(output: unknown): string {
  const parsed = Output.safeParse(output);
  if (!parsed.success) return 'none';
  return parsed.data.approvals
    .map((approval) => Decision.parse(approval))
    .map(({ question, decision, by }) => `${question} ${decision} by ${by ?? 'nobody'}`)
    .join(', ');
}
