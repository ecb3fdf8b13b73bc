import { NotInSandbox, type Operation, type RequestContext, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import type { Keys } from '../deploy/keys';
import { NetworkRegistry } from '../deploy/network-registry';
import type { Database } from '../network/reach';
import type { Postgres, Server } from '../postgres/contract';
import { accountOperations } from './account';
import { automatedBackupOperations } from './automated-backups';
import type { Durations } from './durations';
import type { ForcedFailure } from './forced-failures';
import { instanceOperations } from './instances';
import { modifyOperations } from './modify';
import { addDefaultParameterGroup, parameterGroupOperations } from './parameter-groups';
import { databaseAt } from './placement';
import { Rds, type Place } from './rds';
import { restoreOperations } from './restores';
import { resume } from './resume';
import { sharingOperations } from './sharing';
import { snapshotOperations } from './snapshots';
import { newState, type RdsState } from './state';
import { subnetGroupOperations } from './subnet-groups';
import { tagOperations } from './tags';
import { planOf } from './tasks';
import { startUpkeep } from './upkeep';

const NO_KEYS: Pick<Keys, 'named'> = { named: () => undefined };

interface Kept {
  readonly state: RdsState;
  /** Of the other Regions and accounts. */
  readonly elsewhere: readonly (Place & { readonly state: RdsState })[];
  /** How far the durations have been drawn from their seed. */
  readonly drawn: number;
}

/**
 * Amazon RDS for PostgreSQL: instances are real servers, snapshots real physical backups. Other Regions and other accounts have
 * snapshots only: copies.
 */
export class RdsService implements Service {
  readonly name = 'rds';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly rds: Rds;
  private readonly endUpkeep: () => void;

  /** `network` is where instances can be (by default the default VPC), `keys` what keys are called (by default as they are). */
  constructor(
    context: SandboxContext,
    options: {
      postgres: Postgres;
      durations: Durations;
      network?: NetworkRegistry;
      keys?: Pick<Keys, 'named'>;
    },
  ) {
    const { postgres, durations, network = new NetworkRegistry(), keys = NO_KEYS } = options;
    const state = newState(context.clock.now());
    const rds = new Rds(context, postgres, durations, state, network, keys, planOf);
    const [major = ''] = postgres.version.split('.');
    addDefaultParameterGroup(rds, major);
    this.rds = rds;
    context.keep<Kept>('rds', {
      save: () => ({
        state,
        elsewhere: [...rds.elsewhere.values()].map((other) => {
          const { accountId, region } = other.context.account;
          return { accountId, region, state: other.state };
        }),
        drawn: durations.position,
      }),
      load: (kept) => {
        Object.assign(state, kept.state);
        for (const { state: its, ...place } of kept.elsewhere) rds.addPlace(place, its);
        durations.position = kept.drawn;
      },
      resume: () => resume(rds),
    });
    this.operations = byPlace(rds, {
      ...instanceOperations(rds),
      ...modifyOperations(rds),
      ...restoreOperations(rds),
      ...snapshotOperations(rds),
      ...sharingOperations(rds),
      ...automatedBackupOperations(rds),
      ...parameterGroupOperations(rds),
      ...subnetGroupOperations(rds),
      ...tagOperations(rds),
      ...accountOperations(rds),
    });
    this.endUpkeep = startUpkeep(rds);
  }

  /** The PostgreSQL server behind an instance, whatever the instance's status; none while it has none. */
  server(instanceIdentifier: string): Server | undefined {
    const instance = this.rds.state.instances.get(instanceIdentifier.toLowerCase());
    return instance && this.rds.servers.get(instance.dbiResourceId);
  }

  /** The instance whose server listens there. */
  databaseAt(host: string, port: number): Database | undefined {
    return databaseAt(this.rds, host, port);
  }

  /** Has an operation that is still to come end in a failed status: for fault plans. */
  failNext(failure: ForcedFailure): void {
    this.rds.state.forcedFailures.push(failure);
  }

  /** Begins nothing more and waits for the work that is under way. The servers are stopped by `Postgres.stop`. */
  async stop(): Promise<void> {
    this.endUpkeep();
    await Promise.all(this.rds.everywhere().map((rds) => rds.stop()));
  }
}

/** What is asked of another Region or account is done there, as far as it has to do with snapshots. */
function byPlace(home: Rds, operations: Record<string, Operation>): Record<string, Operation> {
  const there = (rds: Rds): Record<string, Operation> => ({
    ...readOnly(instanceOperations(rds)),
    ...readOnly(automatedBackupOperations(rds)),
    ...snapshotOperations(rds),
    ...sharingOperations(rds),
    ...tagOperations(rds),
    ...accountOperations(rds),
  });
  const { region: homeRegion, accountId: homeAccount } = home.context.account;
  return Object.fromEntries(
    Object.entries(operations).map(([name, run]): [string, Operation] => [
      name,
      async (input: never, context: RequestContext) => {
        const { region = homeRegion, accountId } = context;
        const rds = home.at({ accountId, region });
        if (rds === home) return run(input, context);
        const runThere = there(rds)[name];
        if (!runThere)
          throw new NotInSandbox(
            `RDS ${name} in another Region than ${homeRegion} or another account than ${homeAccount}`,
          );
        return runThere(input, context);
      },
    ]),
  );
}

function readOnly(operations: Record<string, Operation>): Record<string, Operation> {
  return Object.fromEntries(Object.entries(operations).filter(([name]) => name.startsWith('Describe')));
}
