#!/usr/bin/env node
/**
 * Stands in for Prisma's native schema engine, which is a download that a closed network refuses: the same engine in
 * its WebAssembly build, from npm, over `pg`. The Prisma CLI runs this file when PRISMA_SCHEMA_ENGINE_BINARY names it.
 *
 * Lifecycle: the CLI starts it once per database command (`cli can-connect-to-database`, `cli create-database`) and once
 * more for JSON-RPC, one message a line, until it closes standard input or kills it.
 * Differs from the native engine: texts of errors that the WebAssembly build leaves to its host (connection errors, a
 * failed migration) are made here after the native ones, and a shadow database is always a temporary one.
 */
import { parseArguments } from './engine/arguments.mjs';
import { runDatabaseCommand } from './engine/database-command.mjs';

const options = parseArguments(process.argv.slice(2), process.env);

if (options.version) {
  console.log('schema-engine-cli wasm');
} else if (options.databaseCommand !== undefined) {
  process.exitCode = await runDatabaseCommand(options.databaseCommand, options.datasource);
} else {
  // The engine is loaded only here: a database command is three times as fast without it.
  const { serve } = await import('./engine/rpc.mjs');
  await serve(options, process.stdin, process.stdout);
  process.exit(0);
}
