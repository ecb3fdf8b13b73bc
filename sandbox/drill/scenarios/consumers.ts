import { Consumers, CONSUMERS } from '../consumers';
import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

export const consumers: Scenario = {
  name: 'consumers',
  shows:
    'the ECS services of the table are restarted after the swap, and their sessions on the new instance prove the cutover',
  badMigration: 'dropped-column',
  cdkApp: 'sandbox/app-with-consumers.ts',
  async play(stage) {
    const services = await stage.timeline.step(`Start ${CONSUMERS.length} services`, () =>
      Consumers.start(stage),
    );
    const before = await stage.digest();
    await stage.deployBadMigration(consumers.badMigration);
    const liveBefore = await stage.live();
    const earlier = await services.deployments();
    stage.timeline.heading('The recovery machine undoes it and restarts them');
    const run = await stage.recover({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      ...OPERATOR,
    });
    const later = await services.deployments();
    const sessions = await services.sessions();
    services.leave();
    const told = stage.sandbox.sns.messages.find(({ message }) => message.includes('Being restarted: '));
    return {
      before,
      liveBefore,
      run,
      checks: [
        check(
          'Each service has one new deployment',
          later.every((id, index) => id !== 'none' && id !== earlier[index]),
          later.join(', '),
        ),
        check(
          'Their sessions are on the new instance',
          sessions >= CONSUMERS.length,
          `${sessions} sessions of ${CONSUMERS.length} services`,
        ),
        check(
          'People were told who is being restarted',
          CONSUMERS.every(({ service }) => told?.message.includes(service)),
          told?.message.split('\n')[1] ?? 'nothing',
        ),
      ],
    };
  },
  async check(stage, outcome) {
    return [...(outcome.checks ?? []), ...(await recovered(stage, outcome, consumers.badMigration))];
  },
};
