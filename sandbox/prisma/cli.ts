import { execFile } from 'node:child_process';
import path from 'node:path';

/** How one call of the Prisma CLI ended. */
export interface PrismaResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface PrismaOptions {
  /** `postgresql://…`, with its password; it travels in the environment only. */
  readonly databaseUrl: string;
  /** Directory with `prisma.config.*` and the schema. */
  readonly projectDirectory: string;
  /** File with the certificate authorities that `sslmode=verify-full` trusts besides the well-known ones. */
  readonly caFile?: string;
  readonly signal?: AbortSignal;
}

const ENGINE = path.join(__dirname, 'schema-engine.mjs');
const CLI = require.resolve('prisma/build/index.js');

/** Node 22.1 and later keep compiled code here, which halves the start of the CLI; Node 20 ignores it. */
const COMPILE_CACHE = path.join(path.dirname(require.resolve('prisma/package.json')), '../.cache/prisma-cli');

/**
 * Runs the real Prisma CLI, e.g. `prisma(['migrate', 'deploy'], …)`, without network, telemetry or update notice.
 * A command that fails is an answer (`exitCode`), not an exception.
 *
 * @throws when the CLI cannot be started or `signal` is aborted
 */
export function prisma(args: readonly string[], options: PrismaOptions): Promise<PrismaResult> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [CLI, ...args],
      {
        cwd: options.projectDirectory,
        env: environment(options),
        maxBuffer: 64 * 1024 * 1024,
        ...(options.signal ? { signal: options.signal } : {}),
      },
      (error, stdout, stderr) => {
        const exitCode = error ? error.code : 0;
        if (typeof exitCode === 'number') resolve({ exitCode, stdout, stderr });
        else
          reject(
            new Error(`The Prisma CLI did not finish: ${error?.signal ?? exitCode ?? 'unknown reason'}.`, {
              cause: error,
            }),
          );
      },
    );
  });
}

/**
 * The password goes apart from the URL, as PGPASSWORD: the CLI hands the URL to its engine as an argument, and arguments
 * are for everybody on the machine to read.
 */
function environment(options: PrismaOptions): NodeJS.ProcessEnv {
  const url = new URL(options.databaseUrl);
  const password = decodeURIComponent(url.password);
  url.password = '';
  return {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    TMPDIR: process.env['TMPDIR'],
    DATABASE_URL: url.href,
    PGPASSWORD: password,
    ...(options.caFile ? { NODE_EXTRA_CA_CERTS: options.caFile } : {}),
    PRISMA_SCHEMA_ENGINE_BINARY: ENGINE,
    CHECKPOINT_DISABLE: '1',
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    NODE_COMPILE_CACHE: COMPILE_CACHE,
    NO_COLOR: '1',
    CI: '1',
  };
}
