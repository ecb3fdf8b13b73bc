import {
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeServicesCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
} from '@aws-sdk/client-ecs';
import { DescribeSecretCommand } from '@aws-sdk/client-secrets-manager';
import type { Consumer } from '../../lambdas/contract/rules';
import { deployedTo } from '../deploy/deploy';
import type { Json } from '../deploy/json';
import { ENVIRONMENT, type Stage } from './stage';

/** The services that the table of environments names in a drill with consumers. */
export const CONSUMERS: readonly Consumer[] = ['web', 'worker'].map((service) => ({
  cluster: 'task-tracker',
  service,
}));

/** What their sessions call themselves. */
const SESSION_NAME = 'task of a service';

/** How long tasks may take until they are connected, in milliseconds of the sandbox's time. */
const PATIENCE = 30 * 60_000;

/** Reads DATABASE_URL once, at its start, as tasks do; ends when its session is ended. */
const CODE = `
const { readFileSync } = require('node:fs');
const { Client } = require(${JSON.stringify(require.resolve('pg'))});
const url = new URL(process.env.DATABASE_URL);
url.search = '';
const client = new Client({
  connectionString: url.href,
  ssl: { ca: readFileSync(process.env.CA_FILE, 'utf8') },
  application_name: ${JSON.stringify(SESSION_NAME)},
});
client.on('error', () => process.exit(1));
client.connect().then(() => setInterval(() => client.query('select 1').catch(() => process.exit(1)), 250), () => process.exit(1));
`;

/** ECS services that use the database, of which each has a task that runs. */
export class Consumers {
  private constructor(
    private readonly stage: Stage,
    private readonly ecs: ECSClient,
  ) {}

  static async start(stage: Stage): Promise<Consumers> {
    const { context, postgres } = stage.sandbox;
    const { secrets } = stage.sandbox.clients();
    const ecs = new ECSClient({
      endpoint: context.endpoint,
      region: context.account.region,
      credentials: stage.sandbox.credentials(),
    });
    const { ARN = '' } = await secrets.send(
      new DescribeSecretCommand({ SecretId: `${ENVIRONMENT}/database-url` }),
    );
    const executionRoleArn = roleOfTasks(stage, ARN);
    for (const clusterName of new Set(CONSUMERS.map(({ cluster }) => cluster)))
      await ecs.send(new CreateClusterCommand({ clusterName }));
    await ecs.send(
      new RegisterTaskDefinitionCommand({
        family: 'task-tracker',
        executionRoleArn,
        containerDefinitions: [
          {
            name: 'app',
            image: 'task-tracker',
            command: [process.execPath, '-e', CODE],
            environment: [{ name: 'CA_FILE', value: postgres.authority.caFile }],
            secrets: [{ name: 'DATABASE_URL', valueFrom: ARN }],
          },
        ],
      }),
    );
    for (const { cluster, service: serviceName } of CONSUMERS)
      await ecs.send(
        new CreateServiceCommand({ cluster, serviceName, taskDefinition: 'task-tracker', desiredCount: 1 }),
      );
    const consumers = new Consumers(stage, ecs);
    await consumers.arrived();
    return consumers;
  }

  /** Waits until each of them has a task that is connected. */
  private async arrived(): Promise<void> {
    const { clock } = this.stage.sandbox.context;
    const deadline = clock.now().getTime() + PATIENCE;
    while ((await this.sessions()) < CONSUMERS.length) {
      if (clock.now().getTime() > deadline)
        throw new Error(`The services did not come to the database. ECS says: ${await this.lastEvent()}`);
      await clock.sleep(5_000);
    }
  }

  private async lastEvent(): Promise<string> {
    const [{ cluster, service } = { cluster: '', service: '' }] = CONSUMERS;
    const { services } = await this.ecs.send(new DescribeServicesCommand({ cluster, services: [service] }));
    return services?.[0]?.events?.[0]?.message ?? 'nothing';
  }

  /** Ids of the newest deployments. */
  async deployments(): Promise<string[]> {
    const ids = CONSUMERS.map(async ({ cluster, service }) => {
      const { services } = await this.ecs.send(new DescribeServicesCommand({ cluster, services: [service] }));
      return services?.[0]?.deployments?.find(({ status }) => status === 'PRIMARY')?.id ?? 'none';
    });
    return Promise.all(ids);
  }

  /** How many of their tasks are connected to the database that DATABASE_URL names now. */
  async sessions(): Promise<number> {
    const rows = await this.stage.asAdministrator(
      `select 1 from pg_stat_activity where application_name = '${SESSION_NAME}'`,
    );
    return rows.length;
  }

  leave(): void {
    this.ecs.destroy();
  }
}

function roleOfTasks(stage: Stage, secretArn: string): string {
  const { account } = stage.sandbox.context;
  const name = 'task-tracker-execution';
  const arn = `arn:aws:iam::${account.accountId}:role/${name}`;
  const document = (statement: Json): Json => ({ Version: '2012-10-17', Statement: [statement] });
  deployedTo(stage.sandbox.context).iam.add({
    name,
    arn,
    trust: document({
      Effect: 'Allow',
      Principal: { Service: 'ecs-tasks.amazonaws.com' },
      Action: 'sts:AssumeRole',
    }),
    managedPolicyArns: [],
    permissionsBoundary: undefined,
    policies: [
      {
        name: 'Read',
        document: document({
          Sid: 'Read',
          Effect: 'Allow',
          Action: ['secretsmanager:GetSecretValue'],
          Resource: [secretArn],
        }),
      },
    ],
  });
  return arn;
}
