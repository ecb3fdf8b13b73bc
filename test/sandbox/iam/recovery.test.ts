import { InvokeCommand } from '@aws-sdk/client-lambda';
import { DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import {
  DescribeExecutionCommand,
  StartExecutionCommand,
  type DescribeExecutionOutput,
} from '@aws-sdk/client-sfn';
import { join } from 'node:path';
import { z } from 'zod';
import { VirtualClock } from '../../../sandbox/core/clock';
import { deployedTo } from '../../../sandbox/deploy/deploy';
import type { RoleRecord } from '../../../sandbox/deploy/iam-registry';
import { isObject } from '../../../sandbox/deploy/json';
import { statementsOf } from '../../../sandbox/iam/policies';
import { checkUsage } from '../../../sandbox/iam/usage';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';
import { synthesise } from '../../../sandbox/synthesise';
import { until } from '../../until';
import { NEVER_USED } from './never-used';

// GIVEN the production stacks in a sandbox, and a snapshot as CI takes it before a migration
let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await Sandbox.start({ clock: new VirtualClock(), durations: durations('aws', 1) });
  const assembly = join(sandbox.context.directory, 'assembly');
  // With copies in another Region: what nobody uses of them is explained, too.
  await synthesise(assembly, ['production'], 'sandbox/app-with-copies.ts');
  await sandbox.deploy(assembly, ['Production-Database', 'Production-Rollback']);
  const payload = JSON.stringify({ deploymentId: 'test', migrations: [{ name: '20250106090000_init' }] });
  await until(
    async () => {
      const { Payload } = await sandbox
        .clients()
        .lambda.send(
          new InvokeCommand({ FunctionName: 'production-pre-migration-snapshot', Payload: payload }),
        );
      await sandbox.context.clock.sleep(60_000);
      return z.object({ status: z.string() }).parse(JSON.parse(Buffer.from(Payload ?? []).toString()));
    },
    ({ status }) => status === 'available',
  );
});

afterAll(async () => {
  await sandbox.stop();
});

/** Takes the statements with this Sid from the role until the returned function is called. */
function takeAway(rolePart: string, sid: string): () => void {
  const role = deployedTo(sandbox.context)
    .iam.list()
    .find(({ name }) => name.includes(rolePart));
  if (!role) throw new Error(`No role has "${rolePart}" in its name.`);
  const before = [...role.policies];
  const without = before.map((policy) => {
    const { name, document } = policy;
    if (!isObject(document) || !Array.isArray(document['Statement']))
      throw new Error(`${name} has no statements.`);
    const left = document['Statement'].filter((_, index) => statementsOf(policy)[index]?.Sid !== sid);
    return { name, document: { ...document, Statement: left } };
  });
  expect(without).not.toEqual(before);
  replace(role, without);
  return () => {
    replace(role, before);
  };
}

function replace(role: RoleRecord, policies: RoleRecord['policies']): void {
  role.policies.splice(0, role.policies.length, ...policies);
}

async function recover(name: string): Promise<DescribeExecutionOutput> {
  const { stepFunctions } = sandbox.clients();
  const { executionArn } = await stepFunctions.send(
    new StartExecutionCommand({
      stateMachineArn: 'arn:aws:states:eu-central-1:123456789012:stateMachine:production-recovery',
      name,
      input: JSON.stringify({
        mode: 'recover',
        restore: { to: 'latest-pre-migration-snapshot' },
        reason: 'a test',
        requestedBy: 'jest',
      }),
    }),
  );
  return until(
    () => stepFunctions.send(new DescribeExecutionCommand({ executionArn })),
    ({ status }) => status !== 'RUNNING',
  );
}

test('without leave to look at the recovery instance a recovery fails there, says why, and discards the instance', async () => {
  const giveBack = takeAway('MatchSettings', 'DescribeInstances');

  const { status, cause } = await recover('no-modify');

  giveBack();
  expect(status).toBe('FAILED');
  expect(cause).toMatch(
    /MatchSettings failed with .*User: arn:aws:sts::123456789012:assumed-role\/[\w-]+\/production-match-settings is not authorized to perform: rds:DescribeDBInstances on resource: arn:aws:rds:eu-central-1:123456789012:db:production-database because no identity-based policy allows the rds:DescribeDBInstances action/,
  );
  const { DBInstances } = await sandbox.clients().rds.send(new DescribeDBInstancesCommand({}));
  expect(DBInstances?.map(({ DBInstanceIdentifier }) => DBInstanceIdentifier)).toEqual([
    'production-database',
  ]);
});

test('a machine that may not call a function fails with the error that AWS gives it', async () => {
  const giveBack = takeAway('RecoveryRole', 'CallSteps');

  const { status, error, cause } = await recover('no-calls');

  giveBack();
  expect({ status, error }).toEqual({ status: 'FAILED', error: 'Lambda.AWSLambdaException' });
  // The last state calls a function too, to end with the first error: here it ends with its own, the same.
  expect(cause).toMatch(
    /User: \S+ is not authorized to perform: lambda:InvokeFunction on resource: arn:aws:lambda:eu-central-1:123456789012:function:production-fail because no identity-based policy allows the lambda:InvokeFunction action/,
  );
});

test('a recovery that failed rings its alarm, and people are told', async () => {
  // The metric is that of the failed recoveries above; alarms are looked at once a minute.
  await sandbox.context.clock.sleep(10 * 60_000);

  const subjects = sandbox.sns.messages.map(({ subject }) => subject);
  expect(subjects).toContainEqual(expect.stringMatching(/^ALARM: "production-recovery-failed"/));
});

test('what was used so far is told from what was not', async () => {
  const usage = await sandbox.iam.usage();
  const { unexplained, stale } = checkUsage(usage, NEVER_USED);

  // This app has no vault: what is said of its permissions the scenarios check.
  const granted = new Set(usage.granted.map(({ sid }) => sid));
  expect(stale.filter(({ sid }) => granted.has(sid))).toEqual([]);
  // A recovery that ended before the swap has restored from a snapshot and discarded, and neither swapped nor retired.
  expect(unexplained).not.toContainEqual(
    expect.stringMatching(
      /PreMigration|Discard.*rds:DeleteDBInstance on .*-rec-|RestoreSnapshot|WriteOwnLog|WriteLog|LambdaMakesInterfaces|Notify /,
    ),
  );
  for (const sid of ['MoveDatabaseUrl', 'MoveDatabaseUrlBack', 'DeleteRetired', 'RestoreToTime'])
    expect(unexplained).toContainEqual(expect.stringContaining(`: ${sid} allows`));
});
