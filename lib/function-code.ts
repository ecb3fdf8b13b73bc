import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Stack } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { buildSync } from 'esbuild';
import { HANDLERS } from './functions';

const ROOT = join(__dirname, '..');

/** A function's code: its bundle, or, where a stack needs no bundling (as in template tests), the sources. */
export function functionCode(scope: Construct, name: string): lambda.Code {
  if (!Stack.of(scope).bundlingRequired) return lambda.Code.fromAsset(join(ROOT, 'lambdas'));
  return lambda.Code.fromAsset(join(bundles(), name));
}

let bundleDirectory: string | undefined;

/**
 * Bundles every handler, in one go and once per process (docs/decisions/0003-bundling.md). Returns the directory that has a
 * subdirectory with an `index.js` for each of them; it is removed when the process ends.
 */
function bundles(): string {
  if (bundleDirectory !== undefined) return bundleDirectory;
  const directory = mkdtempSync(join(tmpdir(), 'migration-rollback-bundles-'));
  process.once('exit', () => {
    rmSync(directory, { recursive: true, force: true });
  });
  const { outputFiles } = buildSync({
    absWorkingDir: ROOT,
    entryPoints: HANDLERS.map((name) => ({ in: `lambdas/${name}.ts`, out: `${name}/index` })),
    outdir: directory,
    // esbuild's own writing would leave half a directory behind when one entry point fails.
    write: false,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    // Not Lambda's own Node: the sandbox runs these very bundles on the Node of the laptop (engines in package.json).
    target: 'node20',
    // ES modules can be shaken, CommonJS ones cannot.
    mainFields: ['module', 'main'],
    minify: true,
    // The names of errors are what the state machine routes on.
    keepNames: true,
    legalComments: 'none',
    external: ['pg-native'],
    logLevel: 'error',
  });
  for (const file of outputFiles) {
    mkdirSync(dirname(file.path), { recursive: true });
    writeFileSync(file.path, file.contents);
  }
  bundleDirectory = directory;
  return directory;
}
