import { createHash } from 'node:crypto';
import { cp, readdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import pg from 'pg';
import { badMigration } from './bad-migrations';

/** A migration on disk, with the checksum that Prisma writes into `_prisma_migrations`. */
export interface Migration {
  readonly name: string;
  /** SHA-256 of migration.sql, in hexadecimal. */
  readonly checksum: string;
}

/** A copy of the sample app's Prisma project, free to be changed. */
export interface Project {
  /** Where `prisma.config.ts` is: the Prisma CLI runs here. */
  readonly directory: string;
  /** Every migration in the order in which Prisma applies them. */
  migrations(): Promise<readonly Migration[]>;
  /** Puts a bad migration behind the others. @throws RangeError for an unknown name */
  addBadMigration(name: string): Promise<Migration>;
  /** Takes a migration away again. */
  removeMigration(migrationName: string): Promise<void>;
  /** The migrations that a deploy would apply, found as CI does: those on disk without a finished row. */
  pendingMigrations(client: pg.ClientBase): Promise<readonly Migration[]>;
}

/** Copies schema, config and migrations into `directory` (made if missing). */
export async function prepareProject(directory: string): Promise<Project> {
  for (const part of ['prisma', 'prisma.config.ts'])
    await cp(path.join(__dirname, part), path.join(directory, part), { recursive: true });
  return new ProjectCopy(directory);
}

/** The copy that was made earlier in `directory`, with what has been changed since. */
export function openProject(directory: string): Project {
  return new ProjectCopy(directory);
}

class ProjectCopy implements Project {
  constructor(readonly directory: string) {}

  async migrations(): Promise<readonly Migration[]> {
    const entries = await readdir(this.migrationsDirectory(), { withFileTypes: true });
    const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    return Promise.all(names.sort().map((name) => this.read(name)));
  }

  async addBadMigration(name: string): Promise<Migration> {
    const { migrationName } = badMigration(name);
    const source = path.join(__dirname, 'bad-migrations', name, migrationName);
    await cp(source, path.join(this.migrationsDirectory(), migrationName), { recursive: true });
    return this.read(migrationName);
  }

  async removeMigration(migrationName: string): Promise<void> {
    await rm(path.join(this.migrationsDirectory(), migrationName), { recursive: true });
  }

  async pendingMigrations(client: pg.ClientBase): Promise<readonly Migration[]> {
    const finished = await finishedMigrations(client);
    return (await this.migrations()).filter(({ name }) => !finished.has(name));
  }

  private migrationsDirectory(): string {
    return path.join(this.directory, 'prisma', 'migrations');
  }

  private async read(name: string): Promise<Migration> {
    const script = await readFile(path.join(this.migrationsDirectory(), name, 'migration.sql'));
    return { name, checksum: createHash('sha256').update(script).digest('hex') };
  }
}

/** Names of the migrations that the database holds, empty where Prisma was never run. */
async function finishedMigrations(client: pg.ClientBase): Promise<ReadonlySet<string>> {
  try {
    const { rows } = await client.query<{ migration_name: string }>(
      'SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL',
    );
    return new Set(rows.map((row) => row.migration_name));
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.code === '42P01') return new Set();
    throw error;
  }
}
