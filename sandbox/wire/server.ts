import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { Callers } from '../core/account';
import { AnswerLost, ApiError, NotInSandbox, type Api } from '../core/api';
import { wireErrorOf } from './errors';
import type { Protocol, WireReply, WireRequest } from './protocol';
import { serviceModel, type ServiceModel } from './model';
import { credentialOf, destinationOf, protocolByLookOf } from './route';

export interface ServerOptions {
  readonly api: Pick<Api, 'handle' | 'accountOf'>;
  readonly callers: Callers;
  /** 0: any free port. */
  readonly port: number;
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** One line per call; never a member's value. */
  readonly log: (line: string) => void;
}

export interface RunningServer {
  readonly port: number;
  /** Ends the open connections too. */
  close(): Promise<void>;
}

/** Something else listens on the port already. */
export class PortTaken extends Error {
  override readonly name = 'PortTaken';

  constructor(host: string, port: number) {
    super(
      `Port ${port} on ${host} is taken: another program, perhaps another sandbox, listens there (EADDRINUSE). ` +
        `HINT: stop it, or choose another port with --port.`,
    );
  }
}

/** Above the 6 MB that Lambda takes as payload, with room for what wraps it. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;

/**
 * Serves the AWS protocols: any SDK or AWS CLI with `AWS_ENDPOINT_URL` set to this server works against `api`.
 *
 * @throws {PortTaken}
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host = '127.0.0.1', port, log } = options;
  const server = createServer((request, response) => {
    answer(request, options)
      .catch((error: unknown) => {
        if (error instanceof AnswerLost) throw error;
        log(`wire: ${stackOf(error)}`);
        return plainText(500, 'The sandbox failed to answer: see its log.');
      })
      .then((reply) => {
        send(response, reply, request);
      })
      .catch((error: unknown) => {
        // The client has gone away, or is to believe that the server has.
        if (!(error instanceof AnswerLost)) log(`wire: ${stackOf(error)}`);
        response.destroy();
      });
  });
  // Clients keep connections open between calls; the default of 5 s would close them under a slow poll.
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new PortTaken(host, port) : error);
    });
    server.listen(port, host, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => {
          if (error) reject(error);
          else resolve();
        });
        server.closeAllConnections();
      }),
  };
}

/**
 * Who asks need not sign, so a web page that is open in a browser here could ask as well, and run functions of its own. A
 * browser says so itself (Origin, Sec-Fetch-Site); one that was sent here under another name (DNS rebinding) shows that name.
 */
function isOfWebPage({ headers }: IncomingMessage): boolean {
  return (
    headers.origin !== undefined ||
    !['none', undefined].includes(headers['sec-fetch-site']?.toString()) ||
    !/^(127(\.\d{1,3}){3}|localhost|\[::1\])(:\d+)?$/i.test(headers.host ?? '')
  );
}

async function answer(message: IncomingMessage, options: ServerOptions): Promise<WireReply> {
  if (isOfWebPage(message))
    return plainText(403, 'The sandbox answers no web pages, and only as 127.0.0.1 or localhost.');
  const body = await bodyOf(message);
  if (!body) return plainText(413, `The request is larger than ${MAX_BODY_BYTES} bytes.`);
  const url = new URL(message.url ?? '/', 'http://sandbox');
  const request: WireRequest = {
    method: message.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    headers: message.headers,
    body,
  };
  if (isVisit(request)) return plainText(200, ABOUT);
  return call(request, options);
}

/** Someone looks at the address with a browser or curl. */
function isVisit(request: WireRequest): boolean {
  return (
    (request.method === 'GET' || request.method === 'HEAD') &&
    request.path === '/' &&
    request.query.size === 0 &&
    request.headers.authorization === undefined
  );
}

const ABOUT =
  'This is the migration-rollback sandbox: a local AWS (RDS, Secrets Manager, Step Functions, Lambda, SNS, EventBridge,\n' +
  'Scheduler, CloudWatch, ECS, S3, STS, CloudFormation) for rehearsing database recoveries.\n' +
  'Use it with any AWS SDK or CLI: set AWS_ENDPOINT_URL to this address. docs/sandbox.md says what it does.\n';

async function call(request: WireRequest, { api, callers, log }: ServerOptions): Promise<WireReply> {
  const requestId = randomUUID();
  const started = performance.now();
  let model: ServiceModel | undefined;
  let protocol: Protocol | undefined;
  let operation = '';
  let callerArn = 'unknown';
  const logged = (reply: WireReply, error = ''): WireReply => {
    const took = Math.round(performance.now() - started);
    log(
      `${model?.service ?? 'unknown'}:${operation} ${reply.status}${error} ${took} ms by ${callerArn} (${requestId})`,
    );
    return reply;
  };
  try {
    const credential = credentialOf(request);
    const caller = credential ? callers.find(credential.accessKeyId) : callers.administrator();
    callerArn = caller.arn;
    // Known before the rest, so that a refusal of the rest is spelt as this service spells it.
    model = credential ? serviceModel(credential.service) : undefined;
    const destination = destinationOf(request);
    ({ model, protocol } = destination);
    operation = protocol.nameOf(request);
    const operationModel = protocol.operationOf(request, model);
    if (!operationModel) throw new NotInSandbox(`${model.service}:${operation}`);
    operation = operationModel.name;
    const input = protocol.readInput(request, operationModel, model);
    const output = await api.handle({
      context: {
        service: model.service,
        operation,
        caller,
        accountId: api.accountOf(caller),
        requestId,
        ...(credential?.region !== undefined && { region: credential.region }),
      },
      input,
    });
    return logged(protocol.writeOutput(output, operationModel, model, requestId));
  } catch (error) {
    if (error instanceof AnswerLost) {
      log(`${model?.service ?? 'unknown'}:${operation} not answered, by ${callerArn} (${requestId})`);
      throw error;
    }
    if (!(error instanceof ApiError))
      log(`${model?.service ?? 'unknown'}:${operation} failed: ${stackOf(error)}`);
    const wireError = wireErrorOf(error, model);
    const writer = protocol ?? protocolByLookOf(request);
    return logged(writer.writeError(wireError, model ?? NO_SERVICE, requestId), ` ${wireError.name}`);
  }
}

/** Stands in for the model where the service is not known: only its JSON version is asked for. */
const NO_SERVICE: ServiceModel = {
  service: 'sts',
  protocols: ['json'],
  queryErrors: false,
  jsonVersion: '1.1',
  xmlNamespace: '',
  target: '',
  operations: new Map(),
  errors: new Map(),
};

const unzip = promisify(gunzip);

/** The body, unpacked; undefined when it is too large. */
async function bodyOf(message: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message) {
    if (!(chunk instanceof Buffer)) continue;
    bytes += chunk.length;
    // Read to the end all the same: a client that is cut off while it sends sees no answer.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (bytes > MAX_BODY_BYTES) return undefined;
  const body = Buffer.concat(chunks);
  // CloudWatch clients compress what is large.
  return message.headers['content-encoding'] === 'gzip'
    ? unzip(body, { maxOutputLength: MAX_BODY_BYTES })
    : body;
}

function plainText(status: number, body: string): WireReply {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body };
}

/**
 * The date of an answer is that of its request. Callers live in different times, a function in the sandbox's and a person in
 * the real one, and an SDK that sees another date than its own takes every error for a clock gone wrong and tries again.
 */
function dateFor({ headers }: IncomingMessage): Record<string, string> {
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(String(headers['x-amz-date'])) ?? [];
  if (second === undefined) return {};
  return { date: new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`).toUTCString() };
}

function send(response: ServerResponse, reply: WireReply, request: IncomingMessage): void {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
  // 204 has no body and so no length.
  const length = reply.status === 204 ? {} : { 'content-length': String(body.byteLength) };
  response.writeHead(reply.status, { ...dateFor(request), ...reply.headers, ...length });
  response.end(body);
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
