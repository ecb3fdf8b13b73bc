import { CreateFunctionCommand, InvokeCommand, waitUntilFunctionActiveV2 } from '@aws-sdk/client-lambda';
import { CreateSecretCommand } from '@aws-sdk/client-secrets-manager';
import { CreateStateMachineCommand, StartExecutionCommand } from '@aws-sdk/client-sfn';
import type { Check } from '../../lambdas/contract/checks';
import { VirtualClock } from '../../sandbox/core/clock';
import { noPasswordIsLeft } from '../../sandbox/drill/secrecy';
import { durations } from '../../sandbox/rds/durations';
import { Sandbox } from '../../sandbox/sandbox';
import { zipFile } from '../sandbox/lambda/zip-file';

const APPLICATION = 'it\'s "odd" & 100 %';
const MASTER = 'back\\slash-"quoted"';
const URL_PASSWORD = encodeURIComponent(APPLICATION);
const url = `postgresql://app:${URL_PASSWORD}@127.0.0.1:5432/app`;
const ROLE = 'arn:aws:iam::123456789012:role/tester';

let sandbox: Sandbox;
let stateMachineArn: string;
let topicArn: unknown;

beforeAll(async () => {
  sandbox = await Sandbox.start({ clock: new VirtualClock(), durations: durations('quick') });
  const { secrets, stepFunctions, lambda } = sandbox.clients();
  await secrets.send(
    new CreateSecretCommand({
      Name: 'production/database-master',
      SecretString: JSON.stringify({ username: 'master', password: MASTER }),
    }),
  );
  const machine = await stepFunctions.send(
    new CreateStateMachineCommand({
      name: 'recovery',
      roleArn: ROLE,
      definition: JSON.stringify({ StartAt: 'Done', States: { Done: { Type: 'Succeed' } } }),
    }),
  );
  stateMachineArn = machine.stateMachineArn ?? '';
  await lambda.send(
    new CreateFunctionCommand({
      FunctionName: 'talker',
      Role: ROLE,
      Runtime: 'nodejs24.x',
      Handler: 'index.handler',
      Timeout: 30,
      Code: {
        ZipFile: zipFile({ 'index.js': 'exports.handler = async (event) => console.log(event.say);' }),
      },
    }),
  );
  await waitUntilFunctionActiveV2(
    { client: lambda, maxWaitTime: 60, minDelay: 1 },
    { FunctionName: 'talker' },
  );
  ({ TopicArn: topicArn } = await asAdministrator('CreateTopic', { Name: 'events' }));
});

afterAll(() => sandbox.stop());

function asAdministrator(operation: string, input: object): Promise<Record<string, unknown>> {
  const { api, callers } = sandbox.context;
  return api.call('sns', operation, input, callers.administrator());
}

/** Runs the machine with this input, and looks. */
async function look(input: object = {}): Promise<Check> {
  const { executionArn = '' } = await sandbox
    .clients()
    .stepFunctions.send(new StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input) }));
  const stage = { sandbox, databaseUrl: async () => ({ url, versionId: 'any' }) };
  return noPasswordIsLeft(stage, { executionArn });
}

test.each([
  ['the application’s', APPLICATION],
  ['the application’s in a URL', url],
  ['the master user’s', MASTER],
  ['the master user’s in a URL', encodeURIComponent(MASTER)],
  ['one inside of JSON', JSON.stringify({ password: MASTER })],
])('a password in the history is found: %s', async (_whose, text) => {
  expect(await look({ text })).toMatchObject({ ok: false, detail: 'found in the history of the execution' });
});

test('nothing is found where there is nothing', async () => {
  expect(await look({ text: 'app at 127.0.0.1' })).toMatchObject({ ok: true });
});

// The last ones, since what is planted stays.
test('a password in a log is found, and in whose', async () => {
  const Payload = JSON.stringify({ say: `connecting to ${url}` });
  await sandbox.clients().lambda.send(new InvokeCommand({ FunctionName: 'talker', Payload }));
  expect(await look()).toMatchObject({ ok: false, detail: 'found in the log of talker' });
});

test('a password in a message is found', async () => {
  await asAdministrator('Publish', { TopicArn: topicArn, Message: `The password is ${MASTER}.` });
  expect(await look()).toMatchObject({
    ok: false,
    detail: 'found in the messages, the log of talker',
  });
});
