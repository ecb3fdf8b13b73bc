import type { Operation, Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import type { Postgres, Server } from '../postgres/contract';
import { accountOperations } from './account';
import { automatedBackupOperations } from './automated-backups';
import type { Durations } from './durations';
import type { ForcedFailure } from './forced-failures';
import { instanceOperations } from './instances';
import { Modifications } from './modify';
import { addDefaultParameterGroup, parameterGroupOperations } from './parameter-groups';
import { Rds } from './rds';
import { restoreOperations } from './restores';
import { snapshotOperations } from './snapshots';
import { subnetGroupOperations } from './subnet-groups';
import { tagOperations } from './tags';
import { startUpkeep } from './upkeep';

/** Amazon RDS for PostgreSQL: instances are real servers, snapshots real physical backups. */
export class RdsService implements Service {
  readonly name = 'rds';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly rds: Rds;
  private readonly endUpkeep: () => void;

  constructor(context: SandboxContext, options: { postgres: Postgres; durations: Durations }) {
    const rds = new Rds(context, options.postgres, options.durations);
    const [major = ''] = options.postgres.version.split('.');
    addDefaultParameterGroup(rds, major);
    const modifications = new Modifications(rds);
    this.rds = rds;
    this.operations = {
      ...instanceOperations(rds),
      ...modifications.operations(),
      ...restoreOperations(rds),
      ...snapshotOperations(rds),
      ...automatedBackupOperations(rds),
      ...parameterGroupOperations(rds),
      ...subnetGroupOperations(rds),
      ...tagOperations(rds),
      ...accountOperations(rds),
    };
    this.endUpkeep = startUpkeep(rds, modifications);
  }

  /** The PostgreSQL server behind an instance, whatever the instance's status; none while it has none. */
  server(instanceIdentifier: string): Server | undefined {
    const instance = this.rds.state.instances.get(instanceIdentifier.toLowerCase());
    return instance && this.rds.servers.get(instance.dbiResourceId);
  }

  /** Has an operation that is still to come end in a failed status: for fault plans. */
  failNext(failure: ForcedFailure): void {
    this.rds.state.forcedFailures.push(failure);
  }

  /** Begins nothing more and waits for the work that is under way. The servers are stopped by `Postgres.stop`. */
  async stop(): Promise<void> {
    this.endUpkeep();
    await this.rds.stop();
  }
}
