import { request } from 'node:http';
import { InvokeCommand, LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import { CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { DescribeDBInstancesCommand, DescribeEventsCommand, RDSClient } from '@aws-sdk/client-rds';
import { GetScheduleCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SFNClient, StartExecutionCommand } from '@aws-sdk/client-sfn';
import { Callers, SANDBOX_ACCOUNT } from '../../../sandbox/core/account';
import { Api, ApiError, type Service } from '../../../sandbox/core/api';
import { PortTaken, startServer } from '../../../sandbox/wire/server';
import { containing } from './matching';
import { scripted, serve, type Served } from './served';

const MOMENT = new Date('2026-11-21T10:00:00.250Z');

function services() {
  const whoCalls: string[] = [];
  const identity: Service = {
    name: 'sts',
    operations: {
      GetCallerIdentity: async (_input: object, context) => {
        whoCalls.push(context.caller.arn);
        return {};
      },
    },
  };
  return {
    rds: scripted('rds', {
      CreateDBSnapshot: () => ({}),
      DescribeDBInstances: (input) => {
        if ('DBInstanceIdentifier' in input)
          throw new ApiError('DBInstanceNotFoundFault', 'DBInstance <gone> & lost not found.');
        return { NoSuchMember: 'x' };
      },
    }),
    secrets: scripted('secretsmanager', {
      GetSecretValue: () => {
        throw new ApiError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
      },
    }),
    states: scripted('states', {
      StartExecution: () => ({ executionArn: 'arn:aws:states:x', startDate: MOMENT }),
    }),
    lambda: scripted('lambda', {
      Invoke: () => ({ StatusCode: 200, FunctionError: 'Unhandled', Payload: Buffer.from('{"no":"way"}') }),
    }),
    monitoring: scripted('monitoring', {
      DescribeAlarms: () => ({ MetricAlarms: [{ AlarmName: 'a', StateUpdatedTimestamp: MOMENT }] }),
    }),
    scheduler: scripted('scheduler', {
      GetSchedule: () => {
        throw new ApiError('ResourceNotFoundException', 'Schedule x does not exist.');
      },
    }),
    identity: { ...identity, whoCalls },
  };
}

describe('the wire server', () => {
  let served: Served<ReturnType<typeof services>>;

  beforeAll(async () => {
    served = await serve(services);
  });
  afterAll(() => served.close());

  test('a caller who lives in another time asks once: the answer carries the date of its request', async () => {
    const now = Date.now.bind(Date);
    const anHourAhead = jest.spyOn(Date, 'now').mockImplementation(() => now() + 60 * 60 * 1000);
    const client = new RDSClient({ ...served.client, maxAttempts: 3 });
    const before = served.log.length;
    const refusal = client.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'gone' }));
    await expect(refusal).rejects.toThrow('not found');
    expect(served.log.slice(before)).toHaveLength(1);
    anHourAhead.mockRestore();
    client.destroy();
  });

  /** A request as a client without an SDK would make it. */
  async function raw(
    service: string,
    body: string,
    headers: Record<string, string> = {},
  ): Promise<{ status: number; text: string; headers: Headers }> {
    const response = await fetch(served.client.endpoint, {
      method: 'POST',
      headers: {
        authorization: `AWS4-HMAC-SHA256 Credential=AKIA/20261121/eu-central-1/${service}/aws4_request, Signature=0`,
        ...headers,
      },
      body,
    });
    return { status: response.status, text: await response.text(), headers: response.headers };
  }
  const secretsCall = (body: string) =>
    raw('secretsmanager', body, { 'x-amz-target': 'secretsmanager.GetSecretValue' });

  it('says what it is to who just looks', async () => {
    const response = await fetch(served.client.endpoint);
    expect(await response.text()).toMatch(/migration-rollback sandbox/);
  });

  it('spells a query error as RDS does, so that the SDK has its exception', async () => {
    const client = new RDSClient(served.client);
    await expect(
      client.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: 'x' })),
    ).rejects.toMatchObject({
      name: 'DBInstanceNotFoundFault',
      message: 'DBInstance <gone> & lost not found.',
      $metadata: { httpStatusCode: 404 },
    });
    const { text } = await raw('rds', 'Action=DescribeDBInstances&DBInstanceIdentifier=x');
    expect(text).toContain('<Code>DBInstanceNotFound</Code>');
  });

  it('spells a JSON error with its type and message', async () => {
    const client = new SecretsManagerClient(served.client);
    await expect(client.send(new GetSecretValueCommand({ SecretId: 'x' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: "Secrets Manager can't find the specified secret.",
    });
    const reply = await secretsCall('{"SecretId":"x"}');
    expect(reply.headers.get('x-amzn-errortype')).toBe('ResourceNotFoundException');
  });

  it('refuses an operation that is not there, once', async () => {
    const client = new RDSClient({ ...served.client, maxAttempts: 3 });
    await expect(client.send(new DescribeEventsCommand({}))).rejects.toMatchObject({
      name: 'NotImplementedInSandbox',
      message: containing('rds:DescribeEvents'),
      $metadata: { attempts: 1 },
    });
    await expect(new LambdaClient(served.client).send(new ListFunctionsCommand({}))).rejects.toMatchObject({
      name: 'NotImplementedInSandbox',
    });
  });

  it('refuses a service that is not there, in the protocol of the request', async () => {
    expect((await raw('iam', 'Action=ListUsers')).text).toContain('<Code>NotImplementedInSandbox</Code>');
    expect((await raw('kms', '{}', { 'x-amz-target': 'TrentService.ListKeys' })).text).toContain('\\"kms\\"');
  });

  it('refuses a misspelt member by name', async () => {
    const json = await secretsCall('{"SecretID":"x"}');
    expect(json.status).toBe(400);
    expect(JSON.parse(json.text)).toMatchObject({
      __type: 'ValidationException',
      message: containing('Unknown member "SecretID" in GetSecretValueRequest'),
    });
    const query = await raw(
      'rds',
      'Action=CreateDBSnapshot&DBSnapshotIdentifier=a&DBInstanceIdentifer=b&Version=2014-10-31',
    );
    expect(query.text).toContain('Unknown member &quot;DBInstanceIdentifer&quot; in CreateDBSnapshotMessage');
  });

  it('refuses a missing member in the words of the service', async () => {
    expect(JSON.parse((await secretsCall('{}')).text)).toMatchObject({
      __type: 'ValidationException',
      message:
        "1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must not be null",
    });
    const query = await raw('rds', 'Action=CreateDBSnapshot&DBSnapshotIdentifier=a');
    expect(query.text).toContain('<Code>MissingParameter</Code>');
    expect(query.text).toContain('The request must contain the parameter DBInstanceIdentifier');
  });

  it('refuses a wrong type without repeating the value', async () => {
    expect(JSON.parse((await secretsCall('{"SecretId":["hunter2"]}')).text)).toEqual({
      __type: 'SerializationException',
      message: 'START_ARRAY can not be converted to a String: SecretId',
    });
    expect((await secretsCall('{hunter2')).text).not.toContain('hunter2');
    expect((await raw('rds', 'Action=DescribeDBInstances&MaxRecords=hunter2')).text).toMatch(
      /<Code>MalformedInput<\/Code><Message>MaxRecords must be a number/,
    );
    expect(served.log.join('\n')).not.toContain('hunter2');
  });

  it('takes lists as old and new clients number them', async () => {
    const { inputs } = served.services.rds;
    const call = 'Action=CreateDBSnapshot&DBSnapshotIdentifier=a&DBInstanceIdentifier=b';
    for (const form of ['Tags.Tag', 'Tags.member']) {
      await raw('rds', `${call}&${form}.2.Key=second&${form}.1.Key=first`);
      expect(inputs.at(-1)).toMatchObject({ Tags: [{ Key: 'first' }, { Key: 'second' }] });
    }
    expect((await raw('rds', `${call}&Tags.1.Key=x`)).text).toContain('Tags is a list: write Tags.Tag.1');
  });

  it('carries times and payloads of JSON, REST and CloudWatch both ways', async () => {
    const started = await new SFNClient(served.client).send(
      new StartExecutionCommand({ stateMachineArn: 'arn', input: '{}' }),
    );
    expect(started.startDate).toEqual(MOMENT);
    const alarms = await new CloudWatchClient(served.client).send(new DescribeAlarmsCommand({}));
    expect(alarms.MetricAlarms?.[0]?.StateUpdatedTimestamp).toEqual(MOMENT);
    const overQuery = await raw('monitoring', 'Action=DescribeAlarms&Version=2010-08-01');
    expect(overQuery.text).toContain(
      `<StateUpdatedTimestamp>${MOMENT.toISOString()}</StateUpdatedTimestamp>`,
    );

    const functionArn = 'arn:aws:lambda:eu-central-1:123456789012:function:production-plan';
    const payload = 'x'.repeat(6 * 1024 * 1024);
    const invoked = await new LambdaClient(served.client).send(
      new InvokeCommand({
        FunctionName: functionArn,
        Payload: Buffer.from(payload),
        InvocationType: 'Event',
      }),
    );
    expect(invoked.Payload?.transformToString()).toBe('{"no":"way"}');
    expect(invoked).toMatchObject({ StatusCode: 200, FunctionError: 'Unhandled' });
    expect(served.services.lambda.inputs.at(-1)).toMatchObject({
      FunctionName: functionArn,
      InvocationType: 'Event',
      Payload: { length: payload.length },
    });

    await expect(
      new SchedulerClient(served.client).send(new GetScheduleCommand({ Name: 'x', GroupName: 'g' })),
    ).rejects.toMatchObject({ name: 'ResourceNotFoundException', message: 'Schedule x does not exist.' });
    expect(served.services.scheduler.inputs.at(-1)).toEqual({ Name: 'x', GroupName: 'g' });
  });

  it('answers an output outside the model with an internal failure, and logs which member', async () => {
    const client = new RDSClient(served.client);
    await expect(client.send(new DescribeDBInstancesCommand({}))).rejects.toMatchObject({
      name: 'InternalFailure',
      $metadata: { httpStatusCode: 500 },
    });
    expect(served.log.join('\n')).toContain('output.NoSuchMember is no member of DBInstanceMessage');
  });

  it('knows the caller by access key, and anybody else as the administrator', async () => {
    const role = { arn: 'arn:aws:iam::123456789012:role/production-plan' };
    const { accessKeyId } = served.context.callers.credentialsFor(role);
    for (const key of [accessKeyId, 'AKIAANY'])
      await raw('sts', 'Action=GetCallerIdentity', {
        authorization: `AWS4-HMAC-SHA256 Credential=${key}/20261121/eu-central-1/sts/aws4_request, Signature=0`,
      });
    expect(served.services.identity.whoCalls.slice(-2)).toEqual([
      role.arn,
      'arn:aws:iam::123456789012:user/administrator',
    ]);
  });

  it.each([
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { 'sec-fetch-site': 'cross-site' },
    { host: 'evil.example' },
    { host: 'evil.example:4566' },
  ])('answers no web page: %j', async (headers) => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const asking = request(served.client.endpoint, { method: 'POST', headers }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      asking.on('error', reject).end('Action=DescribeDBInstances&Version=2014-10-31');
    });
    expect(status).toBe(403);
  });

  it('finds the service of an unsigned request', async () => {
    const unsigned = async (body: string, headers: Record<string, string>) =>
      (await fetch(served.client.endpoint, { method: 'POST', body, headers })).text();
    expect(await unsigned('{"SecretId":"x"}', { 'x-amz-target': 'secretsmanager.GetSecretValue' })).toContain(
      'ResourceNotFoundException',
    );
    expect(await unsigned('Action=DescribeDBInstances&DBInstanceIdentifier=x', {})).toContain(
      'DBInstanceNotFound',
    );
    expect(await unsigned('hello', {})).toContain('MissingAuthenticationToken');
  });

  it('says plainly that a port is taken', async () => {
    const port = Number(new URL(served.client.endpoint).port);
    const second = startServer({
      api: new Api(),
      callers: new Callers(SANDBOX_ACCOUNT),
      port,
      log: () => undefined,
    });
    await expect(second).rejects.toBeInstanceOf(PortTaken);
    await expect(second).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`);
    await expect(second).rejects.toThrow('--port');
  });
});
