'use strict';
/**
 * Runs a function's handler inside an execution environment: the part that AWS's Node.js runtime plays on Lambda.
 * Started by environment.ts with the function's environment only; talks to it over the IPC channel. Plain JavaScript,
 * since it runs in a Node.js of its own without a loader.
 *
 * @typedef {{ host: string, port: number, address: { host: string, port: number } }} Route
 * @typedef {{ kind: 'init', clockOffset: number, certificates: string, routes: Route[], endpoint: string,
 *   compiled: string }} Init
 * @typedef {{ kind: 'invoke', requestId: string, event: string, clockOffset: number, timeoutMilliseconds: number,
 *   functionArn: string, logGroup: string, logStream: string, clientContext: string | undefined }} Invoke
 * @typedef {{ kind: 'connect', id: number, admitted: boolean }} ConnectionAnswer
 * @typedef {{ errorType: string, errorMessage: string, trace: string[] }} Failure
 */
const fs = require('node:fs');
const path = require('node:path');
const tls = require('node:tls');
const util = require('node:util');
const url = require('node:url');
/** @type {{ guardConnections(send: (message: object) => void, endpoint: string): void, connectionAnswered(message: ConnectionAnswer): void }} */
const { connectionAnswered, guardConnections } = require(path.join(__dirname, '../network/connections.cjs'));
/** @type {{ keepCompiled(file: string): () => void }} */
const { keepCompiled } = require(path.join(__dirname, '../core/compiled-code.cjs'));

const RealDate = Date;
let clockOffset = 0;
/** The Date that the handler sees: the sandbox's time. */
const SandboxDate = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [RealDate.now() + clockOffset] : args, newTarget),
  apply: () => new SandboxDate().toString(),
  get: (target, property) =>
    property === 'now' ? () => RealDate.now() + clockOffset : Reflect.get(target, property),
});
RealDate.prototype.constructor = SandboxDate;
globalThis.Date = SandboxDate;

const send = /** @type {(message: object, sent?: () => void) => void} */ (process.send).bind(process);
const channel = /** @type {{ ref(): void, unref(): void }} */ (process.channel);
// Lambda has no such channel: a handler must not find one.
Reflect.deleteProperty(process, 'send');

let requestId = '';

const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL'];
/** -1 where Lambda sets none: everything is written then. */
const leastLevel = LEVELS.indexOf(process.env.AWS_LAMBDA_LOG_LEVEL ?? '');

/** @param {string} level */
const logLine = (level) => {
  /** @param {unknown[]} args */
  return (...args) => {
    if (LEVELS.indexOf(level) < leastLevel) return;
    const timestamp = new SandboxDate().toISOString();
    const line =
      process.env.AWS_LAMBDA_LOG_FORMAT === 'JSON'
        ? JSON.stringify({
            timestamp,
            level,
            requestId,
            message: args.length === 1 ? args[0] : util.format(...args),
          })
        : `${timestamp}\t${requestId}\t${level}\t${util.format(...args)}`;
    process.stdout.write(`${line}\n`);
  };
};
Object.assign(console, {
  log: logLine('INFO'),
  info: logLine('INFO'),
  debug: logLine('DEBUG'),
  trace: logLine('TRACE'),
  warn: logLine('WARN'),
  error: logLine('ERROR'),
});

/**
 * @param {unknown} error
 * @returns {Failure}
 */
function describe(error) {
  if (error instanceof Error || Object.prototype.toString.call(error) === '[object Error]') {
    const { name, message, stack } = /** @type {Error} */ (error);
    return { errorType: name, errorMessage: message, trace: (stack ?? '').split('\n') };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

/** Says on both outputs that the invocation's lines end here, so that none of them is counted to the next one. */
function endOfLines() {
  for (const descriptor of [1, 2]) fs.writeSync(descriptor, `\0end ${requestId}\n`);
}

/**
 * @param {{ payload: string } | { error: Failure }} outcome
 * @param {number} [exitCode] the process ends with it once the answer is on its way
 */
function answer(outcome, exitCode) {
  channel.ref();
  endOfLines();
  const exits = exitCode !== undefined;
  const kind = 'payload' in outcome ? 'succeeded' : 'failed';
  send({ kind, ...outcome, exits, requestId, rss: process.memoryUsage.rss() }, () => {
    if (exits) process.exit(exitCode);
  });
}

/**
 * @param {string} type
 * @param {unknown} error
 */
function crash(type, error) {
  const failure = describe(error);
  const errorMessage =
    type === failure.errorType ? failure.errorMessage : `${failure.errorType}: ${failure.errorMessage}`;
  const exitCode = type === 'Runtime.UnhandledPromiseRejection' ? 128 : 129;
  answer({ error: { errorType: type, errorMessage, trace: failure.trace } }, exitCode);
}
process.on('uncaughtException', (error) => crash(describe(error).errorType, error));
process.on('unhandledRejection', (reason) => crash('Runtime.UnhandledPromiseRejection', reason));

/**
 * Names that lead elsewhere in the sandbox, e.g. the host that CloudFormation's custom resources answer to.
 * @param {Route[]} routes
 * @param {string} certificates
 */
function follow(routes, certificates) {
  const connect = tls.connect;
  /** @type {(...args: any[]) => tls.TLSSocket} */
  const routed = (...args) => {
    const options = typeof args[0] === 'object' ? args[0] : undefined;
    const route =
      options && routes.find(({ host, port }) => host === options.host && port === Number(options.port));
    if (route) args[0] = { ...options, ...route.address, servername: route.host, ca: certificates };
    return Reflect.apply(connect, tls, args);
  };
  tls.connect = /** @type {typeof tls.connect} */ (routed);
}

/** @typedef {(event: unknown, context: object, callback?: (error: unknown, result?: unknown) => void) => unknown} Handler */

class InitError extends Error {
  /**
   * @param {string} name
   * @param {string} message
   */
  constructor(name, message) {
    super(message);
    this.name = name;
    this.stack = '';
  }
}

/**
 * @param {string} file
 * @returns {Promise<Record<string, unknown>>}
 */
async function loadModule(file) {
  const found = ['.js', '.mjs', '.cjs']
    .map((extension) => file + extension)
    .find((name) => fs.existsSync(name));
  if (found === undefined) {
    throw new InitError(
      'Runtime.ImportModuleError',
      `Error: Cannot find module '${path.basename(file)}'\nRequire stack:\n- ${process.env.LAMBDA_RUNTIME_DIR}/index.mjs`,
    );
  }
  try {
    if (found.endsWith('.mjs')) return await import(url.pathToFileURL(found).href);
    try {
      return require(found);
    } catch (error) {
      if (/** @type {{ code?: string }} */ (error).code !== 'ERR_REQUIRE_ESM') throw error;
      return await import(url.pathToFileURL(found).href);
    }
  } catch (error) {
    const code = /** @type {{ code?: string }} */ (error)?.code;
    if (error instanceof SyntaxError) throw new InitError('Runtime.UserCodeSyntaxError', String(error));
    if (code === 'MODULE_NOT_FOUND' || code === 'ERR_MODULE_NOT_FOUND')
      throw new InitError('Runtime.ImportModuleError', String(error));
    throw error;
  }
}

/** @returns {Promise<Handler>} */
async function loadHandler() {
  const name = process.env._HANDLER ?? '';
  const folder = path.dirname(name);
  const [file, ...members] = path.basename(name).split('.');
  if (!file || members.length === 0 || members.includes(''))
    throw new InitError('Runtime.MalformedHandlerName', 'Bad handler');
  const loaded = await loadModule(path.resolve(process.env.LAMBDA_TASK_ROOT ?? '.', folder, file));
  /** @type {any} */
  const handler = members.reduce((/** @type {any} */ value, member) => value?.[member], loaded);
  if (handler === undefined)
    throw new InitError('Runtime.HandlerNotFound', `${name} is undefined or not exported`);
  if (typeof handler !== 'function')
    throw new InitError('Runtime.HandlerNotFound', `${name} is not a function`);
  return handler;
}

/**
 * @param {Handler} handler
 * @param {Invoke} call
 */
async function run(handler, call) {
  const deadline = RealDate.now() + call.timeoutMilliseconds;
  const environment = process.env;
  const context = {
    callbackWaitsForEmptyEventLoop: true,
    functionName: environment.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: environment.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: call.functionArn,
    memoryLimitInMB: environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    awsRequestId: call.requestId,
    logGroupName: call.logGroup,
    logStreamName: call.logStream,
    clientContext: call.clientContext === undefined ? undefined : JSON.parse(call.clientContext),
    identity: undefined,
    getRemainingTimeInMillis: () => Math.max(0, deadline - RealDate.now()),
  };
  const result = await new Promise((resolve, reject) => {
    /** @type {(() => void) | undefined} */
    let settle;
    // An empty event loop ends the invocation: with what the callback got, with null where it was never called. The channel
    // to the sandbox does not count.
    channel.unref();
    const loopIsEmpty = () => {
      channel.ref();
      if (settle) settle();
      else if (returned instanceof Promise) {
        const message = "The handler's promise was never settled, and nothing was left to wait for.";
        reject(new InitError('Runtime.NodeJsExit', message));
      } else resolve(null);
    };
    process.once('beforeExit', loopIsEmpty);
    const finish = (/** @type {() => void} */ outcome) => {
      process.removeListener('beforeExit', loopIsEmpty);
      outcome();
    };
    const callback = (/** @type {unknown} */ error, /** @type {unknown} */ value) => {
      settle = () => (error === null || error === undefined ? resolve(value) : reject(error));
      if (!context.callbackWaitsForEmptyEventLoop) finish(settle);
    };
    /** @type {unknown} */
    let returned;
    try {
      returned = handler(JSON.parse(call.event), context, callback);
    } catch (error) {
      finish(() => reject(error));
      return;
    }
    if (returned !== null && typeof returned === 'object' && 'then' in returned) {
      Promise.resolve(returned).then(
        (value) => finish(() => resolve(value)),
        (/** @type {unknown} */ error) => finish(() => reject(error)),
      );
    }
  });
  try {
    return JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch {
    throw new Error('Unable to stringify response body');
  }
}

/** @type {Handler | undefined} */
let handler;
/** Once a function has answered, most of what it needs has been compiled. */
let keep = () => {};

process.on('message', (/** @type {Init | Invoke | ConnectionAnswer} */ message) => {
  if (message.kind === 'connect') {
    connectionAnswered(message);
    return;
  }
  clockOffset = message.clockOffset;
  if (message.kind === 'init') {
    guardConnections(send, message.endpoint);
    follow(message.routes, message.certificates);
    keep = keepCompiled(message.compiled);
    loadHandler().then(
      (loaded) => {
        handler = loaded;
        send({ kind: 'ready' });
      },
      (error) => {
        answer({ error: describe(error) }, 1);
      },
    );
    return;
  }
  requestId = message.requestId;
  if (!handler) return;
  run(handler, message).then(
    (payload) => {
      answer({ payload });
      keep();
      keep = () => {};
    },
    (error) => {
      const failure = describe(error);
      console.error('Invoke Error ', JSON.stringify({ ...failure, trace: undefined, stack: failure.trace }));
      answer({ error: failure });
    },
  );
});
