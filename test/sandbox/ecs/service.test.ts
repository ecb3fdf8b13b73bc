import {
  CreateClusterCommand,
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  ListTasksCommand,
  RegisterTaskDefinitionCommand,
  StopTaskCommand,
  UpdateServiceCommand,
  type Service as Described,
} from '@aws-sdk/client-ecs';
import { CreateSecretCommand, PutSecretValueCommand } from '@aws-sdk/client-secrets-manager';
import { VirtualClock } from '../../../sandbox/core/clock';
import { deployedTo } from '../../../sandbox/deploy/deploy';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { roleWith } from '../iam/roles';
import { until } from '../../until';

describe('ECS', () => {
  const clock = new VirtualClock();
  let sandbox: Sandbox;
  let client: ECSClient;
  let secretArn = '';

  beforeAll(async () => {
    sandbox = await Sandbox.start({ clock, durations: durations('quick') });
    client = new ECSClient({
      endpoint: sandbox.context.endpoint,
      region: 'eu-central-1',
      credentials: sandbox.credentials(),
    });
    const { ARN = '' } = await sandbox
      .clients()
      .secrets.send(new CreateSecretCommand({ Name: 'url', SecretString: 'first' }));
    secretArn = ARN;
    const trusted = 'ecs-tasks.amazonaws.com';
    const read = { sid: 'Read', actions: ['secretsmanager:GetSecretValue'], resources: [ARN] };
    deployedTo(sandbox.context).iam.add(roleWith('reader', [read], { trusted }));
    deployedTo(sandbox.context).iam.add(roleWith('blind', [], { trusted }));
    await client.send(new CreateClusterCommand({ clusterName: 'shop' }));
  });
  afterAll(async () => {
    client.destroy();
    await sandbox.stop();
  });

  /** An application that says which database it uses and goes on until it is told to end. */
  const application = `console.log('using', process.env.DATABASE_URL, process.pid); setInterval(() => {}, 1000);`;
  const register = (family: string, role = 'reader', code = application): Promise<object> =>
    client.send(
      new RegisterTaskDefinitionCommand({
        family,
        executionRoleArn: `arn:aws:iam::123456789012:role/${role}`,
        containerDefinitions: [
          {
            name: 'app',
            image: 'shop',
            command: [process.execPath, '-e', code],
            secrets: [{ name: 'DATABASE_URL', valueFrom: secretArn }],
          },
        ],
      }),
    );
  const create = (serviceName: string, desiredCount = 2): Promise<object> =>
    client.send(
      new CreateServiceCommand({ cluster: 'shop', serviceName, taskDefinition: serviceName, desiredCount }),
    );
  async function described(name: string): Promise<Described> {
    const { services } = await client.send(
      new DescribeServicesCommand({ cluster: 'shop', services: [name] }),
    );
    return services?.[0] ?? {};
  }
  async function reaches(name: string, reached: (service: Described) => boolean): Promise<Described> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const service = await described(name);
      if (reached(service)) return service;
      await clock.sleep(5000);
    }
    throw new Error(`${name} did not get there: ${JSON.stringify(await described(name))}`);
  }
  const steady = (service: Described): boolean =>
    service.deployments?.length === 1 && service.deployments[0]?.rolloutState === 'COMPLETED';
  async function tasks(serviceName: string): Promise<string[]> {
    return (await client.send(new ListTasksCommand({ cluster: 'shop', serviceName }))).taskArns ?? [];
  }
  /** The first line of each task, which each of them prints in its own time. */
  async function outputs(arns: readonly string[]): Promise<string[]> {
    await until(() => arns.every((each) => sandbox.ecs.outputOf(each).length > 0));
    return arns.map((each) => sandbox.ecs.outputOf(each)[0] ?? '');
  }
  const lives = (line: string): boolean => {
    try {
      return process.kill(Number(line.split(' ').at(-1)), 0);
    } catch {
      return false;
    }
  };

  it('runs the command of a service, and starts it anew with the secret of that moment', async () => {
    await register('app');
    await create('app');
    expect(await described('app')).toMatchObject({ status: 'ACTIVE', desiredCount: 2, runningCount: 0 });
    expect(await reaches('app', steady)).toMatchObject({ runningCount: 2, pendingCount: 0 });
    const before = await outputs(await tasks('app'));
    expect(before).toEqual([expect.stringContaining('using first'), expect.stringContaining('using first')]);
    expect(before.filter(lives)).toHaveLength(2);

    await sandbox
      .clients()
      .secrets.send(new PutSecretValueCommand({ SecretId: secretArn, SecretString: 'second' }));
    const { service } = await client.send(
      new UpdateServiceCommand({ cluster: 'shop', service: 'app', forceNewDeployment: true }),
    );
    expect(service?.deployments).toMatchObject([
      { status: 'PRIMARY', rolloutState: 'IN_PROGRESS', runningCount: 0, pendingCount: 2 },
      { status: 'ACTIVE', runningCount: 2 },
    ]);
    const after = await reaches('app', steady);
    expect(after.events?.[0]?.message).toBe('(service app) has reached a steady state.');
    expect(await outputs(await tasks('app'))).toEqual([
      expect.stringContaining('using second'),
      expect.stringContaining('using second'),
    ]);
    expect(before.filter(lives)).toEqual([]);
  });

  it('starts another task for one that was stopped or ended by itself', async () => {
    await register('once', 'reader', `console.log('ran'); process.exit(3);`);
    await create('once', 1);
    await reaches(
      'once',
      ({ events }) => (events?.filter(({ message }) => message?.includes('started')).length ?? 0) > 1,
    );
    await client.send(new DeleteServiceCommand({ cluster: 'shop', service: 'once', force: true }));

    const [stopped = ''] = await tasks('app');
    await client.send(new StopTaskCommand({ cluster: 'shop', task: stopped, reason: 'a test' }));
    expect(
      (await client.send(new DescribeTasksCommand({ cluster: 'shop', tasks: [stopped] }))).tasks,
    ).toMatchObject([{ lastStatus: 'STOPPED', stoppedReason: 'a test' }]);
    await reaches('app', ({ runningCount }) => runningCount === 2);
    expect(await tasks('app')).not.toContain(stopped);
  });

  it('does not start a task whose role may not read its secret', async () => {
    await register('blind', 'blind');
    await create('blind', 1);
    await clock.sleep(60_000);
    const service = await described('blind');
    expect(service).toMatchObject({ runningCount: 0 });
    expect(service.events?.map(({ message }) => message).join()).toContain(
      'is not authorized to perform: secretsmanager:GetSecretValue',
    );
    await client.send(new DeleteServiceCommand({ cluster: 'shop', service: 'blind', force: true }));
    await expect(described('blind')).resolves.toEqual({});
  });

  it('refuses what it does not have', async () => {
    await expect(
      client.send(new CreateServiceCommand({ cluster: 'none', serviceName: 'x', taskDefinition: 'app' })),
    ).rejects.toMatchObject({ name: 'ClusterNotFoundException' });
    await expect(
      client.send(new UpdateServiceCommand({ cluster: 'shop', service: 'none', forceNewDeployment: true })),
    ).rejects.toMatchObject({ name: 'ServiceNotFoundException' });
    await expect(
      client.send(
        new CreateServiceCommand({
          cluster: 'shop',
          serviceName: 'x',
          taskDefinition: 'app',
          loadBalancers: [{ targetGroupArn: 'x' }],
        }),
      ),
    ).rejects.toMatchObject({ name: 'NotImplementedInSandbox' });
    await expect(
      client.send(
        new RegisterTaskDefinitionCommand({
          family: 'image',
          containerDefinitions: [{ name: 'app', image: 'shop' }],
        }),
      ),
    ).rejects.toMatchObject({ name: 'NotImplementedInSandbox' });
  });
});
