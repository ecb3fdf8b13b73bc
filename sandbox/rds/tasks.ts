import { planBaseBackup, type BaseBackupTask } from './automated-backups';
import { planInstanceTask, type InstanceTask } from './instances';
import { planLaunch, type LaunchTask } from './launch';
import { planModification, type ModificationTask } from './changes';
import { planParameters, type ParametersTask } from './parameter-groups';
import type { Plan, Rds } from './rds';
import { planSnapshotTask, type SnapshotTask } from './snapshots';

/** What RDS is doing, as plain data: it is kept on disk, and goes on when the sandbox is started again. */
export type Task =
  LaunchTask | BaseBackupTask | InstanceTask | ModificationTask | ParametersTask | SnapshotTask;

/** How a task is done. */
export function planOf(rds: Rds, task: Task): Plan {
  switch (task.do) {
    case 'launch':
      return planLaunch(rds, task);
    case 'base-backup':
      return planBaseBackup(rds, task);
    case 'stop':
    case 'start':
    case 'reboot':
    case 'revive':
    case 'final-snapshot':
    case 'delete':
      return planInstanceTask(rds, task);
    case 'change':
    case 'await-changes':
    case 'optimize-storage':
    case 'associate-parameter-group':
    case 'add-security-groups':
      return planModification(rds, task);
    case 'apply-parameters':
      return planParameters(rds, task);
    case 'create-snapshot':
    case 'copy-snapshot':
    case 'delete-snapshot':
      return planSnapshotTask(rds, task);
  }
}
