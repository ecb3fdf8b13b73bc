import { z } from 'zod';
import { Decision } from '../../../lambdas/contract/questions';
import { SoakResult } from '../../../lambdas/contract/retirement';
import { isUp } from '../../../lambdas/rds';
import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

/** An alarm that the team has, of several: its orders fail. */
const ALARM = 'task-tracker-broken';
const ERRORS = 'task-tracker-errors';

export const soak: Scenario = {
  name: 'soak',
  shows:
    'the new database is watched for ten minutes; at the third look a composite alarm of the team rings: nothing is undone, a person is asked, though the old instance is kept anyway; deployments go on meanwhile',
  badMigration: 'dropped-table',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(soak.badMigration);
    const liveBefore = await stage.live();
    const { api, callers } = stage.sandbox.context;
    const cloudWatch = (operation: string, input: object): Promise<object> =>
      api.call('monitoring', operation, input, callers.administrator());
    await cloudWatch('PutMetricAlarm', {
      AlarmName: ERRORS,
      Namespace: 'TaskTracker',
      MetricName: 'Errors',
      Statistic: 'Sum',
      Period: 60,
      EvaluationPeriods: 1,
      Threshold: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'ignore',
    });
    await cloudWatch('PutCompositeAlarm', {
      AlarmName: ALARM,
      AlarmRule: `ALARM("${ERRORS}") AND NOT FALSE`,
    });
    let looks = 0;
    let gate = 'not asked';
    const unhook = api.intercept(async ({ context, input }, next) => {
      // The plan looks at all alarms, the soak at those that it was given.
      if (context.operation === 'DescribeAlarms' && input['AlarmNames'] !== undefined && ++looks === 3) {
        await cloudWatch('SetAlarmState', {
          AlarmName: ERRORS,
          StateValue: 'ALARM',
          StateReason: 'orders fail',
        });
        gate = await stage.askGate('hotfix');
      }
      return next();
    });
    stage.timeline.heading('The recovery machine undoes it, and watches');
    try {
      const asked: string[] = [];
      const run = await stage.recover(
        {
          mode: 'recover',
          restore: { to: 'latest-pre-migration-snapshot' },
          ...OPERATOR,
          retire: 'keep',
          keepDays: 7,
          soakMinutes: 10,
          soakAlarms: [ALARM],
        },
        (question) => {
          asked.push(question);
          return { decision: 'approve', by: 'grace', reason: 'the alarm was about something else' };
        },
      );
      const meanwhile = gate;
      while (gate === 'creating') {
        await stage.sandbox.context.clock.sleep(30_000);
        gate = await stage.askGate('hotfix');
      }
      const checks = [
        check(
          'A person was asked, once',
          asked.join(', ') === 'retirement',
          `asked about: ${asked.join(', ') || 'nothing'}`,
        ),
        check(
          'A deployment need not wait for the answer',
          meanwhile === 'creating' && gate === 'available',
          `the gate: ${meanwhile}, then ${gate}`,
        ),
      ];
      return { before, liveBefore, run, checks };
    } finally {
      unhook();
    }
  },
  async check(stage, outcome) {
    const { run, liveBefore } = outcome;
    const output = Output.safeParse(run.output);
    const watched = output.success ? output.data.soak : undefined;
    const looked = run.states.filter(({ name }) => name === 'Soak');
    const minutes = (at: Date | undefined): number =>
      at === undefined || looked[0] === undefined
        ? 0
        : Math.round((at.getTime() - looked[0].enteredAt.getTime()) / 60_000);
    const old = await stage.instance(liveBefore.instance.DBInstanceIdentifier ?? '');
    const until = old?.TagList?.find(({ Key }) => Key === 'migration-rollback:keep-until')?.Value ?? '';
    const days = (Date.parse(until) - run.endedAt.getTime()) / 86_400_000;
    return [
      ...(outcome.checks ?? []),
      check(
        'It was looked at every minute until the alarm rang',
        watched?.looks === 3 && looked.length === 3 && minutes(looked[2]?.enteredAt) === 2,
        `${looked.length} looks, the last after ${minutes(looked.at(-1)?.enteredAt)} minutes`,
      ),
      check(
        'What was found is in the outcome, and only that',
        watched?.problems.length === 1 && (watched.problems[0]?.includes(ALARM) ?? false),
        watched?.problems.join(' ') ?? 'no soak in the output',
      ),
      check(
        'The answer is in the outcome, with who gave it',
        output.success && output.data.approvals.map(({ by }) => by).join(', ') === 'grace',
        output.success ? output.data.approvals.map(({ by }) => by ?? 'nobody').join(', ') : 'no output',
      ),
      check(
        'The old instance is kept, and says until when',
        isUp(old?.DBInstanceStatus) && days > 6.9 && days < 7.1,
        `${old?.DBInstanceStatus ?? 'gone'}, until ${until || 'no date'}`,
      ),
      ...(await recovered(stage, outcome, soak.badMigration)).filter(
        ({ name }) => !['The old instance is retired', 'A final snapshot of it is available'].includes(name),
      ),
    ];
  },
};

const Output = z.object({ soak: SoakResult, approvals: z.array(Decision) });
