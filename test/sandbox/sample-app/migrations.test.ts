import type pg from 'pg';
import { badMigrations } from '../../../sandbox/sample-app/bad-migrations';
import { fill } from '../../../sandbox/sample-app/fill';
import { startDatabaseServer, type DatabaseServer } from './database-server';

let server: DatabaseServer;

beforeAll(async () => {
  server = await startDatabaseServer();
});

afterAll(async () => {
  await server.stop();
});

async function column(client: pg.Client, sql: string): Promise<unknown[]> {
  const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
  return rows.map(([value]) => value);
}

const columnsOf = (client: pg.Client, table: string): Promise<unknown[]> =>
  column(client, `SELECT column_name FROM information_schema.columns WHERE table_name = '${table}'`);

describe('the migrations of the sample app', () => {
  test('are all applied, in order, with the checksums of their files', async () => {
    const client = await server.database('deployed', 'migrated');
    const project = await server.project('deployed');
    const { rows } = await client.query<{ name: string; checksum: string }>(
      'SELECT migration_name AS name, checksum FROM _prisma_migrations ORDER BY started_at',
    );
    expect(rows.length).toBeGreaterThanOrEqual(10);
    expect(rows).toEqual(await project.migrations());
    expect(await project.pendingMigrations(client)).toEqual([]);
    const status = await server.prisma(['migrate', 'status'], 'deployed', project);
    expect(status).toMatchObject({ exitCode: 0 });
    expect(status.stdout).toContain('Database schema is up to date!');
  });

  test('make what the Prisma schema says', async () => {
    await server.database('compared', 'migrated');
    const compare = ['migrate', 'diff', '--from-config-datasource', '--to-schema', 'prisma/schema.prisma'];
    const project = await server.project('compared');
    const same = await server.prisma([...compare, '--exit-code'], 'compared', project);
    expect(same).toMatchObject({ exitCode: 0 });
    const client = await server.database('drifted', 'migrated');
    await client.query('ALTER TABLE "Comment" DROP COLUMN "editedAt"');
    const different = await server.prisma([...compare, '--exit-code'], 'drifted', project);
    expect(different).toMatchObject({ exitCode: 2 });
    expect(different.stdout).toContain('editedAt');
  });

  test('are all pending where Prisma was never run', async () => {
    const client = await server.database('never', 'empty');
    const project = await server.project('never');
    expect(await project.pendingMigrations(client)).toEqual(await project.migrations());
  });
});

describe('a bad migration', () => {
  const harmed: Record<string, (client: pg.Client) => Promise<void>> = {
    async 'dropped-column'(client) {
      expect(await columnsOf(client, 'Task')).not.toContain('details');
    },
    async 'dropped-table'(client) {
      expect(await columnsOf(client, 'Comment')).toEqual([]);
    },
    async 'destructive-backfill'(client) {
      expect(await column(client, 'SELECT DISTINCT "priority" FROM "Task"')).toEqual(['MEDIUM']);
      expect(
        await column(client, 'SELECT count(*)::integer FROM "Task" WHERE "assigneeId" <> "reporterId"'),
      ).toEqual([0]);
    },
    async 'failed-half-way'(client) {
      expect(await columnsOf(client, 'User')).toEqual(expect.arrayContaining(['firstName', 'lastName']));
      expect(await columnsOf(client, 'User')).not.toContain('name');
    },
  };

  test.each(badMigrations.filter(({ name }) => name !== 'failed-half-way'))(
    '$name succeeds and does its harm',
    async ({ name, migrationName }) => {
      const client = await server.database(name, 'migrated');
      await fill(client, { rows: 2_000 });
      const project = await server.project(name);
      const added = await project.addBadMigration(name);
      expect(added.name).toBe(migrationName);
      expect(await project.pendingMigrations(client)).toEqual([added]);
      expect(await columnsOf(client, 'Task')).toContain('details');
      expect(await columnsOf(client, 'Comment')).toContain('body');
      expect((await column(client, 'SELECT DISTINCT "priority" FROM "Task"')).length).toBeGreaterThan(1);
      expect(await server.prisma(['migrate', 'deploy'], name, project)).toMatchObject({ exitCode: 0 });
      await harmed[name]?.(client);
      expect(await project.pendingMigrations(client)).toEqual([]);
    },
  );

  test('failed-half-way leaves half of its work and blocks the next deploy', async () => {
    const name = 'failed-half-way';
    const client = await server.database(name, 'migrated');
    await fill(client, { rows: 2_000 });
    const project = await server.project(name);
    const added = await project.addBadMigration(name);
    const failed = await server.prisma(['migrate', 'deploy'], name, project);
    expect(failed.exitCode).toBe(1);
    expect(failed.stderr).toContain('P3018');
    expect(failed.stderr).toContain(added.name);
    expect(failed.stderr).toContain('Database error code: 23502');
    await harmed[name]?.(client);
    const { rows } = await client.query(
      'SELECT migration_name, checksum, finished_at, rolled_back_at FROM _prisma_migrations WHERE finished_at IS NULL',
    );
    expect(rows).toEqual([
      { migration_name: added.name, checksum: added.checksum, finished_at: null, rolled_back_at: null },
    ]);
    expect(await project.pendingMigrations(client)).toEqual([added]);
    const blocked = await server.prisma(['migrate', 'deploy'], name, project);
    expect(blocked.exitCode).toBe(1);
    expect(blocked.stderr).toContain('P3009');
    expect(
      await server.prisma(['migrate', 'resolve', '--rolled-back', added.name], name, project),
    ).toMatchObject({
      exitCode: 0,
    });
  });

  test('of an unknown name is refused', async () => {
    const project = await server.project('unknown');
    await expect(project.addBadMigration('harmless')).rejects.toThrow('There is no bad migration "harmless"');
  });
});
