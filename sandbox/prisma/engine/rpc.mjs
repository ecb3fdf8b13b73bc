import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import { z } from 'zod';
import { EngineAdapter } from './adapter.mjs';
import { connectionFrom } from './connection.mjs';
import { connectionError, migrationError, textOf } from './errors.mjs';

const Request = z.object({ id: z.number(), method: z.string(), params: z.unknown() });
const DiffResult = z.object({ stdout: z.string().nullish() });

/**
 * @typedef {z.infer<typeof Request>} Request
 * @typedef {{ engine: bindings.SchemaEngine, adapter: EngineAdapter }} Running
 */

/**
 * Answers JSON-RPC requests, one a line, in order, until the input ends.
 *
 * @param {import('./arguments.mjs').Options} options
 * @param {import('node:stream').Readable} input
 * @param {import('node:stream').Writable} output
 */
export async function serve(options, input, output) {
  const send = (/** @type {unknown} */ message) => {
    output.write(`${JSON.stringify(message)}\n`);
  };
  /** @type {Running | undefined} */
  let running;
  for await (const line of createInterface({ input })) {
    const request = Request.safeParse(line.trim() === '' ? undefined : JSON.parse(line));
    // Anything else is the CLI's answer to a `print`.
    if (!request.success) continue;
    const { id, method, params } = request.data;
    try {
      running ??= await start(options);
      const result = await call(running, options, method, params);
      if (method === 'diff') {
        const content = DiffResult.parse(result).stdout;
        if (content !== undefined && content !== null)
          send({ jsonrpc: '2.0', id: 'print', method: 'print', params: { content } });
      }
      send({ jsonrpc: '2.0', id, result: result ?? {} });
    } catch (error) {
      const data = explain(error, running, options, params);
      const message = 'An error happened. Check the data field for details.';
      send({ jsonrpc: '2.0', id, error: { code: 4466, message, data } });
    }
  }
}

/**
 * @param {import('./arguments.mjs').Options} options
 * @returns {Promise<Running>}
 */
async function start({ datasource, datamodels }) {
  loadWasm();
  // Commands without a database never connect, but the engine wants an adapter.
  const connection = connectionFrom(datasource?.url ?? 'postgresql://localhost/none');
  const shadow = datasource?.shadowDatabaseUrl ? connectionFrom(datasource.shadowDatabaseUrl) : connection;
  const adapter = new EngineAdapter(connection, shadow);
  const files = datamodels.map(
    (file) => /** @type {[string, string]} */ ([file, readFileSync(file, 'utf8')]),
  );
  const engine = await bindings.SchemaEngine.new(
    { datamodels: files.length > 0 ? files : undefined },
    () => undefined,
    bindMigrationAwareSqlAdapterFactory(adapter),
  );
  return { engine, adapter };
}

// Called with the reason right before the engine panics, which then ends this process as an uncaught error.
Reflect.set(globalThis, 'PRISMA_WASM_PANIC_REGISTRY', {
  set_message: (/** @type {string} */ message) => {
    process.stderr.write(`${JSON.stringify({ level: 'ERROR', fields: { message, is_panic: true } })}\n`);
  },
});

/** What `@prisma/schema-engine-wasm` does for bundlers, which turn an import of a .wasm file into its exports. */
function loadWasm() {
  const script = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const bytes = readFileSync(path.join(path.dirname(script), 'schema_engine_bg.wasm'));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    './schema_engine_bg.js': { ...bindings },
  });
  bindings.__wbg_set_wasm(instance.exports);
  const begin = instance.exports['__wbindgen_start'];
  if (typeof begin === 'function') Reflect.apply(begin, undefined, []);
}

/**
 * @param {Running} running
 * @param {import('./arguments.mjs').Options} options
 * @param {string} method
 * @param {unknown} params
 * @returns {Promise<unknown>}
 */
async function call({ engine }, { datasource }, method, params) {
  // The WebAssembly build leaves databases to its host; the CLI has made sure of this one before it asks.
  if (method === 'createDatabase' || method === 'ensureConnectionValidity')
    return { databaseName: datasource ? connectionFrom(datasource.url).config.database : '' };
  const name = method === 'getDatabaseVersion' ? 'version' : method;
  /** @type {unknown} */
  const implementation = Reflect.get(engine, name);
  if (typeof implementation !== 'function')
    throw new Error(`The WebAssembly schema engine has no method ${JSON.stringify(method)}.`);
  return Reflect.apply(implementation, engine, [params]);
}

/**
 * The `data` of an error, as the native engine gives it.
 * @param {unknown} error
 * @param {Running | undefined} running
 * @param {import('./arguments.mjs').Options} options
 * @param {unknown} params
 */
function explain(error, running, { datasource }, params) {
  const known = textOf(error, 'code');
  const message = error instanceof Error ? error.message : String(error);
  const { location, config } = connectionFrom(datasource?.url ?? 'postgresql://localhost/none');
  if (!running) {
    const { code, message: text } = connectionError(error, {
      location,
      user: config.user ?? '',
      database: config.database,
    });
    return { is_panic: false, message: text, error_code: code ?? known };
  }
  const { refused } = running.adapter;
  const migration = refused && migrationOf(refused.script, params);
  if (!known?.startsWith('P') && refused && migration !== undefined) {
    const { code, message: text, meta } = migrationError(migration, refused.script, refused.error);
    return { is_panic: false, message: text, meta, error_code: code };
  }
  return { is_panic: false, message, error_code: known };
}

const ApplyParams = z.object({
  migrationsList: z.object({
    migrationDirectories: z.array(
      z.object({
        path: z.string(),
        migrationFile: z.object({ content: z.object({ tag: z.string(), value: z.string() }) }),
      }),
    ),
  }),
});

/**
 * The migration whose script the server refused.
 * @param {string} script
 * @param {unknown} params of the request
 */
function migrationOf(script, params) {
  const list = ApplyParams.safeParse(params);
  return list.data?.migrationsList.migrationDirectories.find(
    ({ migrationFile }) => migrationFile.content.value === script,
  )?.path;
}
