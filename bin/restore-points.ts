import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import Table from 'cli-table3';
import { Command, Option } from 'commander';
import { z } from 'zod';

// package.json says which Node is supported; without this the SDK warns of Node 20 on every start.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

/**
 * `npm run restore-points -- --env production`: what the database can go back to, as the function `<env>-restore-points` says it.
 * It asks AWS with the credentials of the shell, or the sandbox where AWS_ENDPOINT_URL names it.
 */
const Result = z.object({
  environment: z.string(),
  liveInstanceId: z.string(),
  window: z.object({ from: z.string(), to: z.string() }).nullable(),
  points: z.array(
    z.object({
      kind: z.string(),
      id: z.string(),
      time: z.string(),
      ageHours: z.number(),
      status: z.string(),
      migrations: z.array(z.string()),
      outcome: z.string().nullable(),
      commit: z.string().nullable(),
      actor: z.string().nullable(),
      sizeGiB: z.number().nullable(),
      expiresAt: z.string().nullable(),
      why: z.string(),
    }),
  ),
});
type Result = z.infer<typeof Result>;

const Options = z.object({
  env: z.string(),
  json: z.boolean().default(false),
  kind: z.string().optional(),
  migration: z.string().optional(),
  since: z.string().optional(),
  limit: z.coerce.number().int().optional(),
});

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
      'point-in-time',
    ]),
  )
  .option('--migration <name>', 'only those made with this migration pending')
  .option('--since <time>', 'only those of this moment or later, as 2026-11-21T10:00:00Z')
  .option('--limit <number>', 'only the newest so many');

async function ask({ env, json: _, ...filter }: z.infer<typeof Options>): Promise<Result> {
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
  return Result.parse(JSON.parse(text));
}

function print({ environment, liveInstanceId, window, points }: Result): void {
  const table = new Table({
    head: ['time', 'age', 'kind', 'restore point', 'status', 'migrations', 'by', 'kept'],
    style: { head: [] },
    wordWrap: true,
    wrapOnWordBoundary: false,
    colWidths: [21, 7, 14, 40, 12, 30, 14, 30],
  });
  for (const point of points)
    table.push([
      point.time.slice(0, 19) + 'Z',
      age(point.ageHours),
      point.kind,
      point.id,
      [point.status, point.outcome].filter((word) => word !== null).join(', '),
      point.migrations.join('\n'),
      [point.actor ?? '', point.commit?.slice(0, 10) ?? ''].filter((word) => word !== '').join('\n'),
      point.why,
    ]);
  console.log(`${environment}: live is ${liveInstanceId}.`);
  console.log(
    window
      ? `Every second from ${window.from} to ${window.to} can be gone back to, and:`
      : 'There are no automated backups to go back to; there is:',
  );
  console.log(points.length === 0 ? 'nothing.' : table.toString());
}

function age(hours: number): string {
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

async function main(): Promise<void> {
  const options = Options.parse(program.parse().opts());
  const result = await ask(options);
  if (options.json) console.log(JSON.stringify(result, null, 2));
  else print(result);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
