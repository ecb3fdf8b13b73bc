import { z } from 'zod';
import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

/** What the execution says of who could log in to the copy, and what was set. */
const Told = z.object({
  position: z.object({ masterUserKnown: z.boolean() }),
  credentials: z.object({ applicationPassword: z.string() }),
});

export const rotatedPasswords: Scenario = {
  name: 'rotated-passwords',
  shows:
    'both passwords have been rotated twice since the snapshot; those pinned with it open the copy, and the current ones work on it afterwards',
  badMigration: 'dropped-column',
  async play(stage) {
    const before = await stage.digest();
    await stage.deployBadMigration(rotatedPasswords.badMigration);
    for (const which of ['once', 'again'])
      await stage.timeline.step(`Both passwords are rotated ${which}`, () => stage.rotatePasswords());
    const liveBefore = await stage.live();
    stage.timeline.heading('The recovery machine undoes the migration');
    const run = await stage.recover({
      mode: 'recover',
      restore: { to: 'latest-pre-migration-snapshot' },
      ...OPERATOR,
    });
    return { before, liveBefore, run };
  },
  async check(stage, outcome) {
    const told = Told.safeParse(outcome.run.output).data;
    return [
      check(
        'A password of then opened the copy: RDS had none to set, and nobody waited for its first backup',
        told?.position.masterUserKnown === true,
        `the master user was ${told?.position.masterUserKnown === true ? '' : 'not '}known`,
      ),
      check(
        'The application got its current password there',
        told?.credentials.applicationPassword === 'set to the current one',
        told?.credentials.applicationPassword ?? 'not known',
      ),
      check(
        'The master user gets in with its current password',
        await stage.masterGetsIn(),
        'asked for a session on the instance that DATABASE_URL names',
      ),
      ...(await recovered(stage, outcome, rotatedPasswords.badMigration)),
    ];
  },
};
