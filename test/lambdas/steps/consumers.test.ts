import {
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeServicesCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
} from '@aws-sdk/client-ecs';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { Client } from 'pg';
import { z } from 'zod';
import type { InstanceAddress, Recovery } from '../../../lambdas/contract/recovery';
import { readLogin } from '../../../lambdas/database-url';
import { currentSecret } from '../../../lambdas/secrets';
import { proveConsumers } from '../../../lambdas/steps/prove-consumers';
import { restartConsumers } from '../../../lambdas/steps/restart-consumers';
import { Lab } from './lab';

// GIVEN a database, a plan, and two ECS services that use it
let lab: Lab;
let ecs: ECSClient;
let events: EventBridgeClient;
let recovery: Recovery;
const sent: { Detail: string }[] = [];

beforeAll(async () => {
  lab = await Lab.start();
  const { context } = lab.sandbox;
  const options = {
    endpoint: context.endpoint,
    region: context.account.region,
    credentials: lab.sandbox.credentials(),
  };
  ecs = new ECSClient(options);
  events = new EventBridgeClient(options);
  recovery = await lab
    .snapshot('before', '1_first')
    .then(() => lab.planned({ restore: { to: 'latest-pre-migration-snapshot' } }));
  await ecs.send(new CreateClusterCommand({ clusterName: 'shop' }));
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: 'app',
      containerDefinitions: [
        { name: 'app', image: 'shop', command: [process.execPath, '-e', 'setInterval(() => {}, 1000)'] },
      ],
    }),
  );
  for (const serviceName of ['web', 'worker'])
    await ecs.send(
      new CreateServiceCommand({ cluster: 'shop', serviceName, taskDefinition: 'app', desiredCount: 0 }),
    );
  context.api.intercept(({ context: { operation }, input }, next) => {
    if (operation === 'PutEvents') sent.push(...Entries.parse(input).Entries);
    return next();
  });
});

const Entries = z.object({
  Entries: z.array(
    z.object({
      Source: z.literal('migration-rollback'),
      DetailType: z.literal('Database cutover'),
      Detail: z.string(),
    }),
  ),
});

afterAll(async () => {
  ecs.destroy();
  events.destroy();
  await lab.stop();
});

const consumers = ['web', 'worker'].map((service) => ({ cluster: 'shop', service }));

async function deployments(): Promise<(string | undefined)[]> {
  const { services } = await ecs.send(
    new DescribeServicesCommand({ cluster: 'shop', services: ['web', 'worker'] }),
  );
  return (services ?? []).map(
    (service) => service.deployments?.find(({ status }) => status === 'PRIMARY')?.id,
  );
}

const restart = (swappedAt: Date, which = consumers) =>
  restartConsumers(
    { recovery, instance: recovery.live, versionId: 'v2', swappedAt: swappedAt.toISOString() },
    { secrets: lab.secrets, databaseUrlSecretId: lab.databaseUrlSecretId, ecs, events, consumers: which },
  );

test('every service gets one new deployment, however often it is asked, and others an event without secrets', async () => {
  const before = await deployments();
  const swappedAt = lab.now();

  const { services } = await restart(swappedAt);
  const after = await deployments();
  expect(services.map(({ deploymentId }) => deploymentId)).toEqual(after);
  for (const [index, id] of after.entries()) expect(id).not.toBe(before[index]);

  // Again, as after a lost answer or a redrive: they have it.
  expect(await restart(swappedAt)).toEqual({ services });
  expect(await deployments()).toEqual(after);

  expect(sent.map(({ Detail }) => JSON.parse(Detail) as unknown)).toEqual(
    Array(2).fill({
      environment: 'production',
      recoveryId: recovery.id,
      instanceId: recovery.recoveryInstanceId,
      secretVersionId: 'v2',
    }),
  );
});

test('one that is not there is named, and keeps neither the others nor the event down', async () => {
  const before = await deployments();
  const [web] = consumers;
  sent.length = 0;
  await expect(
    restart(lab.now(), [{ cluster: 'shop', service: 'gone' }, ...(web ? [web] : [])]),
  ).rejects.toMatchObject({
    name: 'ConsumersNotRestarted',
    message: expect.stringMatching(/^Not restarted: shop\/gone \(ServiceNotFoundException/) as string,
  });
  expect((await deployments())[0]).not.toBe(before[0]);
  expect(sent).toHaveLength(1);
});

test('the application has come when it has a session, not when this system has', async () => {
  const { value } = await currentSecret(lab.secrets, lab.databaseUrlSecretId);
  const { host, port, user, password, database } = readLogin(value);
  const instance: InstanceAddress = { ...recovery.live, host, port };
  const prove = (expected = consumers) =>
    proveConsumers(
      { recovery, instance },
      { secrets: lab.secrets, databaseUrlSecretId: lab.databaseUrlSecretId, consumers: expected },
    );

  expect(await prove([])).toEqual({ expected: false });
  await expect(prove()).rejects.toMatchObject({ name: 'ConsumersNotConnected' });

  const application = new Client({ host, port, user, password, database, ssl: { rejectUnauthorized: true } });
  await application.connect();
  expect(await prove()).toEqual({ expected: true, sessions: 1 });

  await application.end();
});
