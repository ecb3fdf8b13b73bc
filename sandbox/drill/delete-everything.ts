import {
  DeleteDBInstanceCommand,
  DeleteDBSnapshotCommand,
  ModifyDBInstanceCommand,
  type DBInstance,
} from '@aws-sdk/client-rds';
import type { Stage } from './stage';

/** Somebody deletes the live instance, its automated backups and every snapshot of the account in the Region. */
export async function deleteEverything(stage: Stage, live: DBInstance): Promise<void> {
  const { rds } = stage.sandbox.clients();
  const { clock } = stage.sandbox.context;
  const id = live.DBInstanceIdentifier ?? '';
  await rds.send(
    new ModifyDBInstanceCommand({
      DBInstanceIdentifier: id,
      DeletionProtection: false,
      ApplyImmediately: true,
    }),
  );
  while ((await stage.instance(id))?.DeletionProtection !== false) await clock.sleep(10_000);
  await rds.send(
    new DeleteDBInstanceCommand({
      DBInstanceIdentifier: id,
      SkipFinalSnapshot: true,
      DeleteAutomatedBackups: true,
    }),
  );
  for (;;) {
    const left = await stage.snapshots();
    if (left.length === 0 && (await stage.instance(id)) === undefined) return;
    for (const { DBSnapshotIdentifier, Status } of left)
      // One that is being made, or deleted, cannot be.
      if (Status === 'available') await rds.send(new DeleteDBSnapshotCommand({ DBSnapshotIdentifier }));
    await clock.sleep(10_000);
  }
}
