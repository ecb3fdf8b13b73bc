import { createHash } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Stack } from 'aws-cdk-lib';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import { buildSync, version, type BuildOptions } from 'esbuild';
import { HANDLERS } from './functions';
import { readTeamChecks } from './team-checks';

const ROOT = join(__dirname, '..');
const SOURCES = join(ROOT, 'lambdas');
/** The team's own checks stand beside the bundle of `verify`. */
const TEAM_CHECKS = join(ROOT, 'checks');

/** How every function is bundled (docs/decisions/0003-bundling.md). */
export const BUNDLING = {
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
  // A third of every bundle would be for places where no function has its credentials.
  alias: { '@aws-sdk/credential-provider-node': './lambdas/function-credentials.ts' },
  logLevel: 'error',
} satisfies BuildOptions;

/** A function's code: its bundle, or, where a stack needs no bundling (as in template tests), the sources. */
export function functionCode(scope: Construct, name: string): lambda.Code {
  if (!Stack.of(scope).bundlingRequired) return lambda.Code.fromAsset(SOURCES);
  return lambda.Code.fromAsset(join(bundles(), name));
}

let bundleDirectory: string | undefined;

/** The directory that has a subdirectory with an `index.js` for every handler; asked for by the first function. */
function bundles(): string {
  bundleDirectory ??= cachedBundles() ?? temporaryBundles();
  return bundleDirectory;
}

/**
 * Bundles of these very sources, options and packages: their name is the hash of all that they are made from, and a
 * directory gets it only when it is complete, so any number of processes may look and bundle at the same time.
 */
function cachedBundles(): string | undefined {
  const cache = join(ROOT, 'node_modules', '.cache', 'migration-rollback');
  try {
    mkdirSync(cache, { recursive: true });
    accessSync(cache, constants.W_OK);
  } catch {
    return undefined;
  }
  const directory = join(cache, `bundles-${bundlesHash()}`);
  if (existsSync(directory)) return directory;
  const made = mkdtempSync(join(cache, 'making-'));
  try {
    bundleInto(made);
    // The packages may be another user's.
    chmodSync(made, 0o755);
    renameSync(made, directory);
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    // Somebody else was faster: theirs are the same.
    if (!existsSync(directory)) throw error;
  }
  return directory;
}

function bundlesHash(): string {
  const hash = createHash('sha256').update(
    JSON.stringify([BUNDLING, HANDLERS, version, readTeamChecks(TEAM_CHECKS)]),
  );
  const sources = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const files = [
    ...sources.sort().map((name) => join('lambdas', name)),
    'package-lock.json',
    'tsconfig.json',
  ];
  for (const file of files) {
    const content = readFileSync(join(ROOT, file));
    hash.update(`${file} ${content.length}\n`).update(content);
  }
  return hash.digest('hex').slice(0, 32);
}

/** Where the packages are not ours to write in; removed when the process ends. */
function temporaryBundles(): string {
  const directory = mkdtempSync(join(tmpdir(), 'migration-rollback-bundles-'));
  process.once('exit', () => {
    rmSync(directory, { recursive: true, force: true });
  });
  bundleInto(directory);
  return directory;
}

function bundleInto(directory: string): void {
  const teamChecks = readTeamChecks(TEAM_CHECKS);
  buildSync({
    ...BUNDLING,
    absWorkingDir: ROOT,
    entryPoints: HANDLERS.map((name) => ({ in: `lambdas/${name}.ts`, out: `${name}/index` })),
    outdir: directory,
  });
  writeFileSync(join(directory, 'verify', 'checks.json'), JSON.stringify(teamChecks));
}
