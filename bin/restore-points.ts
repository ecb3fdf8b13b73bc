import { InvokeCommand, LambdaClient, ResourceNotFoundException } from '@aws-sdk/client-lambda';
import { Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { failure } from './failure';
import { restorePointsTable, RestorePoints } from './restore-points-table';

// package.json says which Node is supported; without this the SDK warns of Node 20 on every start.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

const Options = z.object({
  env: z.string(),
  json: z.boolean().default(false),
  kind: z.string().optional(),
  migration: z.string().optional(),
  since: z.string().optional(),
  limit: z.number().optional(),
});

/** Wider lines are hard to read. */
const WIDEST = 120;

/**
 * `npm run restore-points -- --env production`: what the database can go back to, as the function `<env>-restore-points` says it.
 * It asks AWS with the credentials of the shell, or the sandbox where AWS_ENDPOINT_URL names it.
 */
const program = new Command('npm run restore-points --')
  .description('Lists what a database can go back to')
  .requiredOption('--env <name>', 'production or staging')
  .option('--json', 'one JSON document instead of a table')
  .addOption(
    new Option('--kind <kind>', 'only of this kind').choices([
      'pre-migration',
      'scheduled',
      'safety',
      'final',
      'by-hand',
      'point-in-time',
    ]),
  )
  .option('--migration <name>', 'only those made with this migration pending')
  .option('--since <time>', 'only those of this moment or later, as 2026-11-21T10:00:00Z')
  .option('--limit <number>', 'only the newest so many', (text) => {
    if (/^[1-9]\d{0,3}$/.test(text) && Number(text) <= 5000) return Number(text);
    throw new InvalidArgumentError('Allowed is a whole number from 1 to 5000.');
  });

async function ask({ env, json: _, ...filter }: z.infer<typeof Options>): Promise<RestorePoints> {
  const client = new LambdaClient({});
  const { FunctionError, Payload } = await client.send(
    new InvokeCommand({
      FunctionName: `${env}-restore-points`,
      Payload: Buffer.from(JSON.stringify(filter)),
    }),
  );
  const text = Buffer.from(Payload ?? []).toString();
  if (FunctionError !== undefined)
    throw new Error(z.object({ errorMessage: z.string() }).parse(JSON.parse(text)).errorMessage);
  return RestorePoints.parse(JSON.parse(text));
}

async function main(): Promise<void> {
  const options = Options.parse(program.parse().opts());
  const result = await ask(options);
  if (options.json) console.log(JSON.stringify(result, null, 2));
  else {
    const { isTTY, columns } = process.stdout;
    console.log(restorePointsTable(result, isTTY ? Math.min(columns, WIDEST) : WIDEST, options));
  }
}

main().catch((error: unknown) => {
  console.error(failure(error));
  if (error instanceof ResourceNotFoundException)
    console.error(
      'Hint: --env is production or staging, as in lib/environments.ts. Is <Env>-Rollback deployed in the account and Region of the shell?',
    );
  process.exitCode = 1;
});
