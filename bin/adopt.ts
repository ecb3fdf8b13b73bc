import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { DescribeDBInstancesCommand, RDSClient, type DBInstance } from '@aws-sdk/client-rds';
import {
  DescribeExecutionCommand,
  paginateListExecutions,
  paginateListStateMachines,
  SFNClient,
} from '@aws-sdk/client-sfn';
import { App } from 'aws-cdk-lib';
import { Command } from 'commander';
import { z } from 'zod';
import { addEnvironment } from '../lib/environment-stacks';
import {
  type DatabaseSettings,
  type EnvironmentSettings,
  ENVIRONMENTS,
  instanceIdentifierOf,
} from '../lib/environments';
import { commandContext } from './command-context';
import { failure } from './failure';
import { adoptionSteps, comparedTable, compareWithLive, inTheWay, ownedInstance } from './adoption';

// package.json says which Node is supported; without this the SDK warns of Node 20 on every start.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

/**
 * `npm run adopt -- --env production`: after a recovery, how the stack gets the live instance for its own. It changes nothing: it
 * asks AWS with the credentials of the shell, or the sandbox where AWS_ENDPOINT_URL names it, and synthesises the stacks as they
 * would be.
 */
const program = new Command('npm run adopt --')
  .description(
    'Says how the stack adopts the live instance, and whether the template equals its settings. Changes nothing.',
  )
  .requiredOption('--env <name>', 'production or staging')
  .option(
    '--output <directory>',
    'writes the stacks there as they would be, to be looked at, or deployed to the sandbox',
  );

const Options = z.object({ env: z.string(), output: z.string().optional() });

async function main(): Promise<void> {
  const { env, output: given } = Options.parse(program.parse().opts());
  const settings = Object.values(ENVIRONMENTS).find(({ name }) => name === env);
  if (!settings)
    throw new Error(`--env is ${JSON.stringify(env)}. Name one of ${Object.keys(ENVIRONMENTS).join(', ')}.`);
  // npm runs scripts in the package's directory, and says where it was called.
  const output = given === undefined ? undefined : resolve(process.env['INIT_CWD'] ?? '', given);
  const { database, stackPrefix } = settings;
  if ('existing' in database)
    throw new Error(
      `The database of ${env} is given by database.existing: no stack owns it, so there is nothing to adopt. Nothing in the stacks names the instance itself.`,
    );
  if (!settings.recovery)
    throw new Error(`${env} has no recovery machine: its instance is always the stack's own.`);
  const rds = new RDSClient({});
  const instanceId = await liveInstanceId(env);
  const ownedId = instanceIdentifierOf(settings.name, database);
  const live = await instance(rds, instanceId);
  if (!live) throw new Error(`The live instance ${instanceId} has gone meanwhile. Run this again.`);

  const stackName = `${stackPrefix}-Database`;
  const compared = compareWithLive(
    ownedInstance(
      stackName,
      synthesise(settings, { ...database, instanceIdentifier: instanceId }, output, stackName),
    ),
    live,
  );
  const say = (...lines: readonly string[]): void => {
    console.log(lines.join('\n'));
  };
  say(
    `${env}: live is ${instanceId}; lib/environments.ts names ${ownedId}.`,
    '',
    ...comparedTable(compared),
    '',
  );

  const wrong = compared.filter(({ verdict }) => verdict === 'replaced' || verdict === 'refused');
  if (wrong.length > 0)
    throw new Error(
      `A deploy would ${wrong.some(({ verdict }) => verdict === 'replaced') ? 'replace the live database' : 'fail'} for ${wrong.map(({ name }) => name).join(', ')}. ` +
        'Write the live values into lib/environments.ts or lib/database-stack.ts, and run this again.',
    );
  if (instanceId === ownedId) {
    const differ = compared.some(({ verdict }) => verdict === 'set');
    if (differ) process.exitCode = 1;
    say(
      `Nothing to adopt: the live instance is the one that lib/environments.ts names. ${differ ? 'The settings above differ: the next change of the instance sets them.' : 'The template equals it.'}`,
    );
    return;
  }
  const obstacle = inTheWay({
    live,
    ownedId,
    owned: await instance(rds, ownedId),
    runningRecovery: await runningRecovery(env),
  });
  if (obstacle !== undefined) throw new Error(obstacle);
  say(
    ...adoptionSteps(
      {
        environment: env,
        stackName,
        rollbackStackName: `${stackPrefix}-Rollback`,
        instanceId,
        ownedId,
        keeps: database.protectedFromDeletion || database.instanceIdentifier !== undefined,
      },
      compared,
    ),
  );
}

/** The template of a stack as it would be; in `directory`, if given, all that is synthesised with it. */
function synthesise(
  settings: EnvironmentSettings,
  database: DatabaseSettings,
  directory: string | undefined,
  stackName: string,
): unknown {
  // CI checks the same stacks by the CDK's rules.
  process.env['CDK_VALIDATION'] = 'false';
  const outdir = directory ?? mkdtempSync(join(tmpdir(), 'migration-rollback-adopt-'));
  try {
    const app = new App({ outdir, context: commandContext() });
    addEnvironment(app, { ...settings, database });
    return app.synth().getStackByName(stackName).template;
  } finally {
    if (directory === undefined) rmSync(outdir, { recursive: true, force: true });
  }
}

/** Of the instance that the DATABASE_URL secret names, as the function `<env>-restore-points` says it: the secret stays unread here. */
async function liveInstanceId(environment: string): Promise<string> {
  const { FunctionError, Payload } = await new LambdaClient({}).send(
    new InvokeCommand({ FunctionName: `${environment}-restore-points`, Payload: Buffer.from('{"limit":1}') }),
  );
  const answer: unknown = JSON.parse(Buffer.from(Payload ?? []).toString());
  if (FunctionError !== undefined)
    throw new Error(z.object({ errorMessage: z.string() }).parse(answer).errorMessage);
  const { liveInstanceId: id, liveProblem } = z
    .object({ liveInstanceId: z.string().nullable(), liveProblem: z.string().nullable() })
    .parse(answer);
  if (id === null || liveProblem !== null) throw new Error(liveProblem ?? 'No instance is live.');
  return id;
}

async function instance(rds: RDSClient, id: string): Promise<DBInstance | undefined> {
  try {
    return (await rds.send(new DescribeDBInstancesCommand({ DBInstanceIdentifier: id }))).DBInstances?.[0];
  } catch (error) {
    if (error instanceof Error && error.name === 'DBInstanceNotFoundFault') return undefined;
    throw error;
  }
}

/** The name of the execution that is bringing the database back, or back again; plans and drills are in nobody's way. */
async function runningRecovery(environment: string): Promise<string | undefined> {
  const client = new SFNClient({});
  for await (const { stateMachines = [] } of paginateListStateMachines({ client }, {}))
    for (const { name, stateMachineArn } of stateMachines) {
      if (name !== `${environment}-recovery`) continue;
      for await (const { executions = [] } of paginateListExecutions(
        { client },
        { stateMachineArn, statusFilter: 'RUNNING' },
      ))
        for (const { executionArn, name: execution } of executions) {
          const { input = '{}' } = await client.send(new DescribeExecutionCommand({ executionArn }));
          const { mode = 'plan' } = z.object({ mode: z.string().optional() }).parse(JSON.parse(input));
          if (mode !== 'plan' && mode !== 'drill') return execution;
        }
    }
  return undefined;
}

main().catch((error: unknown) => {
  console.error(failure(error));
  process.exitCode = 1;
});
