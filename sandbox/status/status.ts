import { paginateDescribeDBInstances, paginateDescribeDBSnapshots, RDSClient } from '@aws-sdk/client-rds';
import {
  GetSecretValueCommand,
  paginateListSecrets,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import {
  paginateGetExecutionHistory,
  paginateListExecutions,
  paginateListStateMachines,
  SFNClient,
  type ExecutionListItem,
} from '@aws-sdk/client-sfn';
import { readLogin } from '../../lambdas/database-url';
import { readMarks, readMigrations } from '../../lambdas/tags';
import { SANDBOX_ACCOUNT } from '../core/account';

/** What is in a sandbox, for people and programs: no secret's value is in it. Times are ISO 8601, of the sandbox's clock. */
export interface Status {
  readonly endpoint: string;
  readonly instances: readonly InstanceStatus[];
  readonly snapshots: readonly SnapshotStatus[];
  readonly secrets: readonly SecretStatus[];
  readonly executions: readonly ExecutionStatus[];
}

export interface InstanceStatus {
  readonly id: string;
  readonly status: string;
  /** What the instance is to this system, as its tag says. */
  readonly role?: string | undefined;
  readonly address?: string | undefined;
  /** True when a DATABASE_URL names it. */
  readonly live: boolean;
}

export interface SnapshotStatus {
  readonly id: string;
  readonly instanceId: string;
  readonly type: string;
  readonly status: string;
  readonly progressPercent: number;
  readonly createdAt?: string | undefined;
  readonly role?: string | undefined;
  readonly expiresAt?: string | undefined;
  readonly commit?: string | undefined;
  /** Names of the migrations that it was taken for, as far as the tags hold them. */
  readonly migrations: readonly string[];
}

/** A secret with a DATABASE_URL. */
export interface SecretStatus {
  readonly name: string;
  readonly versionId: string;
  readonly address: string;
  /** None has that address: undefined. */
  readonly instanceId?: string | undefined;
}

export interface ExecutionStatus {
  readonly machine: string;
  readonly name: string;
  readonly status: string;
  /** The states that it is in, side by side where it has branches; none when it has ended. */
  readonly states: readonly string[];
  readonly startedAt?: string | undefined;
  readonly stoppedAt?: string | undefined;
}

/** Nothing, or no sandbox, answers there. */
export class NoSandbox extends Error {
  override readonly name = 'NoSandbox';

  constructor(endpoint: string, evidence: string, hint: string) {
    super(`No sandbox answers at ${endpoint}: ${evidence}. HINT: ${hint}`);
  }
}

/** Asks a running sandbox what is in it, through its API as anybody does. @throws NoSandbox */
export async function readStatus(port: number): Promise<Status> {
  const endpoint = `http://127.0.0.1:${port}`;
  await check(endpoint);
  const options = {
    endpoint,
    region: SANDBOX_ACCOUNT.region,
    // Made-up keys stand for the administrator.
    credentials: { accessKeyId: 'status', secretAccessKey: 'status' },
    maxAttempts: 1,
  };
  const rds = new RDSClient(options);
  const stepFunctions = new SFNClient(options);
  const [addressed, secrets, snapshots, executions] = await Promise.all([
    readInstances(rds),
    readSecrets(new SecretsManagerClient(options)),
    readSnapshots(rds),
    readExecutions(stepFunctions),
  ]);
  const named = (address: string | undefined) => secrets.some((secret) => secret.address === address);
  return {
    endpoint,
    instances: addressed.map((instance) => ({ ...instance, live: named(instance.address) })),
    snapshots,
    secrets: secrets.map((secret) => ({
      ...secret,
      instanceId: addressed.find(({ address }) => address === secret.address)?.id,
    })),
    executions,
  };
}

async function check(endpoint: string): Promise<void> {
  const start = 'start one with `npm run sandbox`, or name the port of yours with --port.';
  let greeting: string;
  try {
    greeting = await (await fetch(endpoint)).text();
  } catch {
    throw new NoSandbox(endpoint, 'nothing listens there', start);
  }
  if (!greeting.includes('migration-rollback sandbox'))
    throw new NoSandbox(endpoint, 'another program listens there', start);
}

async function readInstances(rds: RDSClient): Promise<Omit<InstanceStatus, 'live'>[]> {
  const found: Omit<InstanceStatus, 'live'>[] = [];
  for await (const { DBInstances = [] } of paginateDescribeDBInstances({ client: rds }, {}))
    for (const { DBInstanceIdentifier: id = '', DBInstanceStatus: status = '', ...rest } of DBInstances)
      found.push({
        id,
        status,
        role: readMarks(rest.TagList).role,
        address: rest.Endpoint && `${rest.Endpoint.Address ?? ''}:${rest.Endpoint.Port ?? ''}`,
      });
  return found;
}

async function readSnapshots(rds: RDSClient): Promise<SnapshotStatus[]> {
  const found: SnapshotStatus[] = [];
  for await (const { DBSnapshots = [] } of paginateDescribeDBSnapshots({ client: rds }, {}))
    for (const snapshot of DBSnapshots) {
      const marks = readMarks(snapshot.TagList);
      found.push({
        id: snapshot.DBSnapshotIdentifier ?? '',
        instanceId: snapshot.DBInstanceIdentifier ?? '',
        type: snapshot.SnapshotType ?? '',
        status: snapshot.Status ?? '',
        progressPercent: snapshot.PercentProgress ?? 0,
        createdAt: snapshot.SnapshotCreateTime?.toISOString(),
        role: marks.role,
        expiresAt: marks['expires-at'],
        commit: marks.commit,
        migrations: readMigrations(snapshot.TagList)?.names ?? [],
      });
    }
  return found;
}

async function readSecrets(client: SecretsManagerClient): Promise<Omit<SecretStatus, 'instanceId'>[]> {
  const found: Omit<SecretStatus, 'instanceId'>[] = [];
  for await (const { SecretList = [] } of paginateListSecrets({ client }, {}))
    for (const { Name: name = '' } of SecretList) {
      if (!name.endsWith('/database-url')) continue;
      const { SecretString, VersionId = '' } = await client.send(
        new GetSecretValueCommand({ SecretId: name }),
      );
      const { host, port } = readLogin(SecretString ?? '');
      found.push({ name, versionId: VersionId, address: `${host}:${port}` });
    }
  return found;
}

/** The newest of each machine first. */
async function readExecutions(client: SFNClient): Promise<ExecutionStatus[]> {
  const found: ExecutionStatus[] = [];
  for await (const { stateMachines = [] } of paginateListStateMachines({ client }, {}))
    for (const { stateMachineArn, name: machine = '' } of stateMachines)
      for await (const { executions = [] } of paginateListExecutions({ client }, { stateMachineArn }))
        for (const execution of executions)
          found.push({
            machine,
            name: execution.name ?? '',
            status: execution.status ?? '',
            states: await openStates(client, execution),
            startedAt: execution.startDate?.toISOString(),
            stoppedAt: execution.stopDate?.toISOString(),
          });
  return found;
}

/** The states that have been entered and not left; of a Parallel or Map state those within it. */
async function openStates(
  client: SFNClient,
  { executionArn, status }: ExecutionListItem,
): Promise<readonly string[]> {
  if (status !== 'RUNNING') return [];
  const open = new Map<string, { count: number; holdsOthers: boolean }>();
  for await (const { events = [] } of paginateGetExecutionHistory({ client }, { executionArn }))
    for (const { type, stateEnteredEventDetails: entered, stateExitedEventDetails: left } of events) {
      const name = entered?.name ?? left?.name;
      if (name === undefined) continue;
      const count = (open.get(name)?.count ?? 0) + (entered ? 1 : -1);
      const holdsOthers = type === 'ParallelStateEntered' || type === 'MapStateEntered';
      if (count > 0) open.set(name, { count, holdsOthers });
      else open.delete(name);
    }
  const inner = [...open].filter(([, { holdsOthers }]) => !holdsOthers);
  return (inner.length > 0 ? inner : [...open]).map(([name]) => name);
}
