import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import * as lambda from '@aws-sdk/client-lambda';
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3';
import * as rds from '@aws-sdk/client-rds';
import * as secretsManager from '@aws-sdk/client-secrets-manager';
import * as sfn from '@aws-sdk/client-sfn';
import { z } from 'zod';
import type { Sandbox } from '../../sandbox/sandbox';
import { serviceModel, type OperationModel } from '../../sandbox/wire/model';
import type { Member } from '../../sandbox/wire/shapes';
import { asText, select } from './cli-query';

const Line = z.object({ argv: z.array(z.string()), directory: z.string() });
type Line = z.infer<typeof Line>;

interface Service {
  readonly model: string;
  readonly sdk: object;
  readonly client: object;
}

/** What an AWS CLI does besides calling the operation; everything else must be a member of the operation's input. */
const CLI_OPTIONS = ['query', 'output', 'cli-read-timeout', 'cli-binary-format'] as const;

/** A line that no AWS CLI would understand. */
class UsageError extends Error {}

/**
 * The command `aws` for a shell: each line becomes a call of the real SDK client to a sandbox, by the SDK's own model of
 * the operation. Options, required ones included, are named and typed as AWS CLI 2 does; what it would refuse is refused.
 */
export class AwsCommand {
  /** Lines that were not understood. */
  readonly misunderstood: string[] = [];

  private constructor(
    private readonly services: Readonly<Record<string, Service>>,
    private readonly s3: S3Client,
    private readonly server: Server,
  ) {}

  /** Puts the command into `directory`, which is to stand first in the shell's PATH. */
  static async install(directory: string, sandbox: Sandbox): Promise<AwsCommand> {
    const clients = sandbox.clients();
    const server = createServer();
    const command = new AwsCommand(
      {
        rds: { model: 'rds', sdk: rds, client: clients.rds },
        secretsmanager: { model: 'secretsmanager', sdk: secretsManager, client: clients.secrets },
        stepfunctions: { model: 'states', sdk: sfn, client: clients.stepFunctions },
        lambda: { model: 'lambda', sdk: lambda, client: clients.lambda },
      },
      new S3Client({
        endpoint: sandbox.context.endpoint,
        region: sandbox.context.account.region,
        credentials: sandbox.credentials(),
        forcePathStyle: true,
      }),
      server,
    );
    server.on('request', (request, response) => {
      void text(request)
        .then((body) => command.answer(Line.parse(JSON.parse(body))))
        .then((answer) => response.end(JSON.stringify(answer)));
    });
    await mkdir(directory, { recursive: true });
    const socket = join(directory, 'aws.socket');
    server.listen(socket);
    await once(server, 'listening');
    const file = join(directory, 'aws');
    await writeFile(file, script(socket));
    await chmod(file, 0o755);
    return command;
  }

  async stop(): Promise<void> {
    this.server.close();
    await once(this.server, 'close');
  }

  private async answer(line: Line): Promise<{ stdout: string; stderr: string; code: number }> {
    try {
      return { stdout: await this.run(line), stderr: '', code: 0 };
    } catch (error) {
      const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
      if (!(error instanceof UsageError)) return { stdout: '', stderr: `${message}\n`, code: 254 };
      this.misunderstood.push(`aws ${line.argv.join(' ')}: ${message}`);
      return { stdout: '', stderr: `${message}\n`, code: 252 };
    }
  }

  /** `aws s3 cp s3://<bucket>/<key> -`: prints an object. */
  private async copy(operationName: string, words: readonly string[]): Promise<string> {
    const [from = '', to, ...others] = words;
    const [, Bucket, Key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(from) ?? [];
    if (operationName !== 'cp' || Key === undefined || to !== '-' || others.length > 0)
      throw new UsageError('Of s3 there is "cp s3://BUCKET/KEY -" here.');
    const { Body } = await this.s3.send(new GetObjectCommand({ Bucket, Key }));
    return (await Body?.transformToString()) ?? '';
  }

  private async run({
    argv: [serviceName = '', operationName = '', ...rest],
    directory,
  }: Line): Promise<string> {
    if (serviceName === 's3') return this.copy(operationName, rest);
    const service = this.services[serviceName];
    if (!service) throw new UsageError(`There is no service "${serviceName}" here.`);
    if (operationName === 'wait') return wait(service, rest);

    const operations = serviceModel(service.model)?.operations.values() ?? [];
    const operation = [...operations].find(({ name }) => kebab(name) === operationName);
    if (!operation) throw new UsageError(`${serviceName} has no operation "${operationName}".`);
    const { input, cli, positional } = readOptions(operation, rest);
    const wanted = operation.name === 'Invoke' ? 1 : 0;
    if (positional.length !== wanted) throw new UsageError(`Unknown: ${positional.join(' ')}`);

    const pages = await paged(service, operation.name, input);
    if (pages) {
      // As the CLI does it: as text each page is printed for itself, as JSON they are one answer.
      if (cli.output === 'text')
        return pages.map((page) => asText(cli.query === undefined ? page : select(cli.query, page))).join('');
      return printed(merged(pages), cli);
    }
    const Command: unknown = Reflect.get(service.sdk, `${operation.name}Command`);
    let output = await call(service.client, 'send', construct(Command, input));
    if (operation.name === 'Invoke') {
      const { Payload, ...others } = z.looseObject({ Payload: z.instanceof(Uint8Array) }).parse(output);
      await writeFile(resolve(directory, positional[0] ?? ''), Payload);
      output = others;
    }
    return printed(withoutMetadata(output), cli);
  }
}

function printed(
  answer: Record<string, unknown>,
  { query, output }: ReturnType<typeof readOptions>['cli'],
): string {
  const selected = query === undefined ? answer : select(query, answer);
  return output === 'text' ? asText(selected) : `${JSON.stringify(selected, null, 4)}\n`;
}

function withoutMetadata(output: unknown): Record<string, unknown> {
  const { $metadata: _, ...members } = z.looseObject({}).parse(output);
  return members;
}

/** Every page of an operation that has pages; undefined of one that has none. */
async function paged(
  { sdk, client }: Service,
  operationName: string,
  input: Record<string, unknown>,
): Promise<Record<string, unknown>[] | undefined> {
  const paginator = `paginate${operationName}`;
  if (!Object.hasOwn(sdk, paginator)) return undefined;
  const pages: Record<string, unknown>[] = [];
  for await (const page of asyncIterable.parse(await call(sdk, paginator, { client }, input)))
    pages.push(withoutMetadata(page));
  return pages;
}

const asyncIterable = z.custom<AsyncIterable<unknown>>(
  (value) => typeof value === 'object' && value !== null && Symbol.asyncIterator in value,
);

/** The lists of all pages in one; of everything else what the first page says. */
function merged(pages: readonly Record<string, unknown>[]): Record<string, unknown> {
  const whole: Record<string, unknown> = {};
  for (const page of pages)
    for (const [name, value] of Object.entries(page)) {
      const lists = z.tuple([z.array(z.unknown()), z.array(z.unknown())]).safeParse([whole[name], value]);
      whole[name] = lists.success ? lists.data.flat() : (whole[name] ?? value);
    }
  return whole;
}

/** `aws <service> wait <name>`: the SDK has the same waiters. */
async function wait({ model, sdk, client }: Service, [name = '', ...rest]: string[]): Promise<string> {
  const waiter = Object.keys(sdk).find((exported) => kebab(exported) === `wait-until-${name}`);
  const describe = name.includes('snapshot') ? 'DescribeDBSnapshots' : 'DescribeDBInstances';
  const operation = serviceModel(model)?.operations.get(describe);
  if (waiter === undefined || !operation)
    throw new UsageError(`There is nothing to wait for called "${name}".`);
  const { input } = readOptions(operation, rest);
  await call(sdk, waiter, { client, maxWaitTime: 60, minDelay: 1, maxDelay: 1 }, input);
  return '';
}

function readOptions(
  operation: OperationModel,
  words: readonly string[],
): {
  input: Record<string, unknown>;
  cli: Partial<Record<(typeof CLI_OPTIONS)[number], string>>;
  positional: string[];
} {
  const members = operation.input.kind === 'structure' ? [...operation.input.members.values()] : [];
  const input: Record<string, unknown> = {};
  const cli: Partial<Record<(typeof CLI_OPTIONS)[number], string>> = {};
  const positional: string[] = [];
  const left = [...words];
  for (let word = left.shift(); word !== undefined; word = left.shift()) {
    if (!word.startsWith('--')) {
      positional.push(word);
      continue;
    }
    const option = word.slice(2);
    const next = (): string => {
      const value = left.shift();
      if (value === undefined) throw new UsageError(`${word}: expected one argument`);
      return value;
    };
    const own = CLI_OPTIONS.find((name) => name === option);
    if (own) {
      cli[own] = next();
      continue;
    }
    const negated = option.startsWith('no-') ? option.slice(3) : undefined;
    const member = members.find(({ name }) => [option, negated].includes(kebab(name)));
    if (!member || (kebab(member.name) === negated && member.shape.kind !== 'boolean'))
      throw new UsageError(`${operation.name} has no option ${word}.`);
    input[member.name] =
      member.shape.kind === 'boolean' ? kebab(member.name) === option : read(member, left, next);
  }
  for (const { name, required } of members)
    if (required && input[name] === undefined) throw new UsageError(`--${kebab(name)} is required.`);
  // The content of fileb:// is bytes to every CLI, 1 and 2.
  if (members.some(({ name, shape }) => shape.kind === 'blob' && input[name] !== undefined))
    if (
      !words.some((word) => word.startsWith('fileb://')) &&
      cli['cli-binary-format'] !== 'raw-in-base64-out'
    )
      throw new UsageError(
        'AWS CLI 2 would take the payload for base64: --cli-binary-format raw-in-base64-out',
      );
  return { input, cli, positional };
}

/** A parameter of bytes: as they are written, or from a file. */
function blob(text: string): Buffer {
  return text.startsWith('fileb://') ? readFileSync(text.slice('fileb://'.length)) : Buffer.from(text);
}

function read({ name, shape }: Member, left: string[], next: () => string): unknown {
  switch (shape.kind) {
    case 'string':
      return next();
    case 'number':
      return Number(next());
    case 'blob':
      return blob(next());
    case 'timestamp':
      return new Date(next());
    case 'list': {
      const items: string[] = [next()];
      for (let word = left[0]; word !== undefined && !word.startsWith('--'); word = left[0])
        items.push(left.shift() ?? word);
      return shape.item.shape.kind === 'structure' ? items.map(shorthand) : items;
    }
    default:
      throw new UsageError(`--${kebab(name)}: a ${shape.kind} is not translated.`);
  }
}

/** `Key=name,Value=text`: a structure in the CLI's shorthand, as far as its members are plain texts. */
function shorthand(item: string): Record<string, string> {
  return Object.fromEntries(
    item.split(',').map((part) => {
      const [, name, value] = /^(\w+)=(.*)$/.exec(part) ?? [];
      if (name === undefined || value === undefined) throw new UsageError(`Not understood: ${item}`);
      return [name, value];
    }),
  );
}

/** `FinalDBSnapshotIdentifier` → `final-db-snapshot-identifier`, as botocore does it. */
function kebab(name: string): string {
  return name
    .replace(/(.)([A-Z][a-z]+)/g, '$1-$2')
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase();
}

function construct(Constructor: unknown, input: object): unknown {
  if (typeof Constructor !== 'function') throw new UsageError('The SDK has no such command.');
  return Reflect.construct(Constructor, [input]);
}

async function call(object: object, method: string, ...args: unknown[]): Promise<unknown> {
  const found: unknown = Reflect.get(object, method);
  if (typeof found !== 'function') throw new UsageError(`The SDK has no ${method}.`);
  return Reflect.apply(found, object, args);
}

/** The command hands its arguments on to this process, which has the SDK loaded. */
function script(socket: string): string {
  return `#!${process.execPath}
const request = require('node:http').request({ socketPath: ${JSON.stringify(socket)}, method: 'POST' }, (response) => {
  let body = '';
  response.on('data', (chunk) => (body += chunk));
  response.on('end', () => {
    const { stdout, stderr, code } = JSON.parse(body);
    process.stdout.write(stdout);
    process.stderr.write(stderr);
    process.exitCode = code;
  });
});
request.end(JSON.stringify({ argv: process.argv.slice(2), directory: process.cwd() }));
`;
}
