import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, CfnOutput, CfnResource, CustomResource, Fn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as secrets from 'aws-cdk-lib/aws-secretsmanager';
import { Provider } from 'aws-cdk-lib/custom-resources';
import { z } from 'zod';
import { Callers, SANDBOX_ACCOUNT } from '../../../sandbox/core/account';
import { Api } from '../../../sandbox/core/api';
import { held, VirtualClock } from '../../../sandbox/core/clock';
import type { SandboxContext } from '../../../sandbox/core/context';
import { CloudFormationService } from '../../../sandbox/cloudformation/service';
import {
  deployAssembly,
  deployedTo,
  resourcesOfType,
  type DeployedStacks,
} from '../../../sandbox/deploy/deploy';
import { LambdaService } from '../../../sandbox/lambda/service';
import type { Authority } from '../../../sandbox/postgres/contract';
import { openAuthority } from '../../../sandbox/postgres/authority';
import { SecretsManagerService } from '../../../sandbox/secrets-manager/service';
import { runCdk } from '../../../sandbox/drill/commands';
import { S3Service } from '../../../sandbox/s3/service';
import { SsmService } from '../../../sandbox/ssm/service';
import { StsService } from '../../../sandbox/sts/service';
import { startServer } from '../../../sandbox/wire/server';

const directory = mkdtempSync(join(tmpdir(), 'deploy-test-'));
const clock = new VirtualClock();
const api = new Api();
const callers = new Callers(SANDBOX_ACCOUNT);
let context: SandboxContext;
let functions: LambdaService;
let authority: Authority;
let close: (() => Promise<void>) | undefined;

// The CDK's own check of every template takes seconds, and is no matter of these tests.
process.env['CDK_VALIDATION'] = 'false';

beforeAll(async () => {
  api.intercept((_call, next) => held(clock, next));
  authority = await openAuthority({
    caFile: join(directory, 'ca.pem'),
    keyFile: join(directory, 'ca.key'),
  });
  const log = (): void => undefined;
  const port = 20_000 + (process.pid % 10_000);
  const server = await startServer({ api, callers, log, port });
  close = async () => server.close();
  const endpoint = `http://127.0.0.1:${server.port}`;
  context = {
    account: SANDBOX_ACCOUNT,
    clock,
    callers,
    api,
    directory,
    endpoint,
    keep: () => undefined,
    log,
  };
  functions = new LambdaService(context, { caFile: authority.caFile });
  api.register(functions);
  const target = { context, inAccount: () => ({ context, lambda: functions }), authority };
  for (const Other of [SecretsManagerService, S3Service, SsmService, StsService])
    api.register(new Other(context));
  api.register(new CloudFormationService(context, target));
});

afterAll(async () => {
  clock.stop();
  await close?.();
  await api.stop();
  rmSync(directory, { recursive: true, force: true });
});

async function deploy(build: (app: App) => void, stacks: string[]): Promise<DeployedStacks> {
  const app = new App({ outdir: mkdtempSync(join(directory, 'assembly-')), analyticsReporting: false });
  build(app);
  const assemblyDirectory = app.synth().directory;
  return deployAssembly({
    assemblyDirectory,
    stacks,
    context,
    inAccount: () => ({ context, lambda: functions }),
    authority,
  });
}

const Secret = z.object({ SecretString: z.string(), VersionId: z.string() });
async function secretValue(SecretId: string) {
  return Secret.parse(
    await api.call('secretsmanager', 'GetSecretValue', { SecretId }, callers.administrator()),
  );
}

const HANDLER = `exports.handler = async (event) => {
  if (event.ResourceProperties.fail === 'true') throw new Error('the handler says no');
  const { number } = event.ResourceProperties;
  return {
    PhysicalResourceId: event.PhysicalResourceId ?? 'made-' + event.RequestType,
    Data: { number, type: typeof number, before: event.OldResourceProperties?.number ?? 'none' },
  };
};`;

function withCustomResource(stack: Stack, properties: Record<string, unknown>): CustomResource {
  const onEventHandler = new lambda.Function(stack, 'Handler', {
    runtime: lambda.Runtime.NODEJS_22_X,
    handler: 'index.handler',
    code: lambda.Code.fromInline(HANDLER),
  });
  const { serviceToken } = new Provider(stack, 'Provider', { onEventHandler });
  return new CustomResource(stack, 'Custom', { serviceToken, resourceType: 'Custom::Thing', properties });
}

test('a custom resource of the CDK runs through its framework and answers over HTTPS', async () => {
  const stacks = await deploy(
    (app) => {
      const stack = new Stack(app, 'Custom');
      const custom = withCustomResource(stack, { number: 7 });
      for (const name of ['number', 'type']) new CfnOutput(stack, name, { value: custom.getAttString(name) });
      new CfnOutput(stack, 'ref', { value: custom.ref });
    },
    ['Custom'],
  );
  // CloudFormation hands every value over as text.
  expect(stacks.stack('Custom').outputs).toEqual({ number: '7', type: 'string', ref: 'made-Create' });
});

test('a custom resource whose properties change is told the new and the old ones', async () => {
  const build = (number: number) => (app: App) => {
    const stack = new Stack(app, 'Updated');
    const custom = withCustomResource(stack, { number });
    for (const name of ['number', 'before']) new CfnOutput(stack, name, { value: custom.getAttString(name) });
    new CfnOutput(stack, 'ref', { value: custom.ref });
  };
  await deploy(build(7), ['Updated']);
  const stacks = await deploy(build(8), ['Updated']);
  expect(stacks.stack('Updated').outputs).toEqual({ number: '8', before: '7', ref: 'made-Create' });
});

test("the CDK's own command deploys a new stack: by a change set, with its code from the bucket", async () => {
  const app = new App({ outdir: mkdtempSync(join(directory, 'assembly-')), analyticsReporting: false });
  const stack = new Stack(app, 'Typed');
  const custom = withCustomResource(stack, { number: 7 });
  new CfnOutput(stack, 'number', { value: custom.getAttString('number') });
  const { exitCode, printed } = await runCdk(
    { context, credentials: () => callers.credentialsFor(callers.administrator()) },
    'npx cdk deploy Typed --require-approval never',
    app.synth().directory,
  );
  expect([exitCode, printed]).toEqual([0, expect.stringContaining('✅  Typed')]);
  expect(printed).toMatch(/ CREATE_COMPLETE .* Custom::Thing /);
  expect(printed).toContain('Typed.number = 7');
  expect(deployedTo(context).stack('Typed').outputs['number']).toBe('7');
});

test('a custom resource that answers FAILED fails the deployment with its reason', async () => {
  await expect(
    deploy((app) => void withCustomResource(new Stack(app, 'Fails'), { fail: true }), ['Fails']),
  ).rejects.toThrow(/Deployment of Fails failed at Custom: .*the handler says no/s);
});

test('roles come with their policies, and a stack imports what another exports', async () => {
  const stacks = await deploy(
    (app) => {
      const first = new Stack(app, 'First');
      const secret = new secrets.Secret(first, 'Secret', {
        secretName: 'imported/secret',
        generateSecretString: {
          secretStringTemplate: '{"username":"postgres"}',
          generateStringKey: 'password',
        },
      });
      const role = new iam.Role(new Stack(app, 'Second'), 'Role', {
        assumedBy: new iam.ServicePrincipal('lambda.amazonaws.com'),
      });
      secret.grantRead(role);
    },
    ['Second', 'First'],
  );
  const secretArn = resourcesOfType(stacks.stack('First'), 'AWS::SecretsManager::Secret')[0]?.physicalId;
  const [role] = stacks.iam.list().filter(({ name }) => name.startsWith('Second-'));
  expect(role?.trust).toMatchObject({ Statement: [{ Principal: { Service: 'lambda.amazonaws.com' } }] });
  expect(role?.policies[0]?.document).toMatchObject({
    Statement: [{ Effect: 'Allow', Resource: secretArn }],
  });
  const { SecretString } = await secretValue('imported/secret');
  const value = z
    .object({ username: z.literal('postgres'), password: z.string() })
    .parse(JSON.parse(SecretString));
  expect(value.password).toHaveLength(32);
});

test('a second deployment leaves what is unchanged alone and refuses updates and removals by name', async () => {
  const build = (description: string) => (app: App) => {
    const stack = new Stack(app, 'Twice');
    new secrets.Secret(stack, 'Secret', { secretName: 'twice', description });
  };
  await deploy(build('one'), ['Twice']);
  const before = await secretValue('twice');
  await deploy(build('one'), ['Twice']);
  expect(await secretValue('twice')).toEqual(before);
  await expect(deploy(build('two'), ['Twice'])).rejects.toThrow(
    /update of Twice\/Secret\w+ \(AWS::SecretsManager::Secret\)/,
  );
  await expect(
    deploy(
      (app) => {
        new CfnResource(new Stack(app, 'Twice'), 'Other', { type: 'AWS::SNS::Topic' });
      },
      ['Twice'],
    ),
  ).rejects.toThrow(/removal of Twice\/Secret/);
});

test('what is to be retained is let go, and stays', async () => {
  const build = (names: readonly string[]) => (app: App) => {
    const stack = new Stack(app, 'LetGo');
    for (const name of names)
      new secrets.CfnSecret(stack, name, {
        name: `let-go-${name}`,
        secretString: 'value',
      }).applyRemovalPolicy(RemovalPolicy.RETAIN);
  };
  await deploy(build(['One', 'Two']), ['LetGo']);
  const stacks = await deploy(build(['Two']), ['LetGo']);
  expect(Object.keys(stacks.stack('LetGo').resources)).toEqual(['Two']);
  expect((await secretValue('let-go-One')).SecretString).toBe('value');
  // It is not the stack's any more: it would be made a second time.
  await expect(deploy(build(['One', 'Two']), ['LetGo'])).rejects.toThrow(/failed at One: .*exists/);
});

test('an export stays as long as another stack uses it', async () => {
  const build = (id: string) => (app: App) => {
    const secret = new secrets.CfnSecret(new Stack(app, 'Exports'), id, { name: `export-${id}` });
    secret.applyRemovalPolicy(RemovalPolicy.RETAIN);
    new secrets.CfnSecret(new Stack(app, 'Imports'), 'User', {
      name: `import-${id}`,
      description: secret.ref,
    });
  };
  await deploy(build('First'), ['Exports', 'Imports']);
  await expect(deploy(build('Second'), ['Exports'])).rejects.toThrow(
    /Export Exports:ExportsOutputRefFirst\w+ cannot be deleted as it is in use by Imports/,
  );
});

test('the value of a secret reaches a resource, and is not kept', async () => {
  const stacks = await deploy(
    (app) => {
      const stack = new Stack(app, 'Dynamic');
      const source = new secrets.CfnSecret(stack, 'Source', {
        name: 'source',
        secretString: '{"key":"hidden value"}',
      });
      new secrets.CfnSecret(stack, 'Copy', {
        name: 'copy',
        secretString: Fn.join('', ['{{resolve:secretsmanager:', source.ref, ':SecretString:key::}}']),
      });
    },
    ['Dynamic'],
  );
  expect((await secretValue('copy')).SecretString).toBe('hidden value');
  expect(JSON.stringify(stacks.stack('Dynamic').resources['Copy'])).not.toContain('hidden value');
});

test.each([
  ['a type', 'AWS::Redshift::Cluster', {}, /does not implement the resource type AWS::Redshift::Cluster/],
  ['a property', 'AWS::SNS::Topic', { FifoTopic: true }, /FifoTopic of AWS::SNS::Topic/],
])('%s that the sandbox does not know is refused by name', async (_what, type, properties, message) => {
  await expect(
    deploy(
      (app) => {
        new CfnResource(new Stack(app, 'Refused'), 'Thing', { type, properties });
      },
      ['Refused'],
    ),
  ).rejects.toThrow(message);
});
