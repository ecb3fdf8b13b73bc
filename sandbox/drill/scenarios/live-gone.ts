import { DeleteDBInstanceCommand, ModifyDBInstanceCommand } from '@aws-sdk/client-rds';
import { OPERATOR, type Scenario } from '../scenario';
import { check, recovered } from '../scenario-checks';

export const liveGone: Scenario = {
  name: 'live-gone',
  shows:
    'after a bad migration somebody deletes the live instance; its backups were kept, and the recovery goes back to the second before the migration, with the settings stored with the snapshot',
  badMigration: 'dropped-table',
  async play(stage) {
    const before = await stage.digest();
    const time = stage.now();
    await stage.deployBadMigration(liveGone.badMigration);
    await stage.timeline.step('Wait until the automated backups reach that moment', () =>
      stage.untilRestorableTo(time),
    );
    const liveBefore = await stage.live();
    const id = liveBefore.instance.DBInstanceIdentifier ?? '';
    await stage.timeline.step(`Somebody deletes ${id}, without a final snapshot`, async () => {
      const { rds } = stage.sandbox.clients();
      await rds.send(
        new ModifyDBInstanceCommand({
          DBInstanceIdentifier: id,
          DeletionProtection: false,
          ApplyImmediately: true,
        }),
      );
      while ((await stage.instance(id))?.DeletionProtection !== false)
        await stage.sandbox.context.clock.sleep(10_000);
      await rds.send(
        new DeleteDBInstanceCommand({
          DBInstanceIdentifier: id,
          SkipFinalSnapshot: true,
          DeleteAutomatedBackups: false,
        }),
      );
      while ((await stage.instance(id)) !== undefined) await stage.sandbox.context.clock.sleep(10_000);
    });
    stage.timeline.heading(`The recovery machine goes back to ${time.toISOString()} without it`);
    const run = await stage.recover({
      mode: 'recover',
      restore: { to: 'time', time: time.toISOString() },
      ...OPERATOR,
    });
    return { before, liveBefore, run };
  },
  async check(stage, outcome) {
    const { instance } = await stage.live();
    const old = outcome.liveBefore.instance;
    const settings = (of: typeof instance): string =>
      JSON.stringify([
        of.DBInstanceClass,
        of.MultiAZ,
        of.AllocatedStorage,
        of.MaxAllocatedStorage,
        of.DBSubnetGroup?.DBSubnetGroupName,
        of.DBParameterGroups?.map(({ DBParameterGroupName }) => DBParameterGroupName),
        of.VpcSecurityGroups?.map(({ VpcSecurityGroupId }) => VpcSecurityGroupId),
        of.PreferredMaintenanceWindow,
        of.EnabledCloudwatchLogsExports,
      ]);
    return [
      check(
        'The settings are those that the deleted instance had',
        settings(instance) === settings(old),
        settings(instance),
      ),
      // Of what is gone no snapshot can be taken.
      ...(await recovered(stage, outcome, liveGone.badMigration)).filter(
        ({ name }) => !/^A (final|safety) snapshot/.test(name),
      ),
    ];
  },
};
