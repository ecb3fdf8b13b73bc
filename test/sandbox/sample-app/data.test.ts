import type pg from 'pg';
import { digest } from '../../../sandbox/sample-app/digest';
import { fill } from '../../../sandbox/sample-app/fill';
import { TaskTracker } from '../../../sandbox/sample-app/app';
import { until } from '../../until';
import { startDatabaseServer, type DatabaseServer } from './database-server';

let server: DatabaseServer;

beforeAll(async () => {
  server = await startDatabaseServer();
});

afterAll(async () => {
  await server.stop();
});

describe('fill', () => {
  test.each([0, 1, 99, 100, 101, 5_000, 12_345])('makes exactly %d rows', async (rows) => {
    const client = await server.database(`rows_${rows}`, 'migrated');
    const filled = await fill(client, { rows });
    const found = await digest(client);
    expect(found.rows).toBe(rows);
    const expected = Object.entries(filled.tables).map(([name, count]) => [`public."${name}"`, count]);
    const counts = found.tables.map(({ name, rows: count }) => [name, count]);
    expect(Object.fromEntries(counts)).toEqual(Object.fromEntries(expected));
  });

  test('gives the same data for the same seed only', async () => {
    const digests = [];
    for (const [name, seed] of [
      ['seed_a', 7],
      ['seed_b', 7],
      ['seed_c', 8],
    ] as const) {
      const client = await server.database(name, 'migrated');
      await fill(client, { rows: 3_000, seed });
      digests.push((await digest(client)).digest);
    }
    expect(digests[0]).toBe(digests[1]);
    expect(digests[0]).not.toBe(digests[2]);
  });

  test('refuses filled tables and odd counts, and leaves room for the next insert', async () => {
    const client = await server.database('refused', 'migrated');
    await expect(fill(client, { rows: 1.5 })).rejects.toThrow(RangeError);
    await fill(client, { rows: 1_000 });
    await expect(fill(client, { rows: 1_000 })).rejects.toThrow('holds rows already');
    const before = (await digest(client)).rows;
    await client.query('INSERT INTO "Team" ("slug", "name") VALUES (\'next\', \'Next\')');
    await client.query('INSERT INTO "Comment" ("taskId", "body") SELECT min("id"), \'next\' FROM "Task"');
    expect((await digest(client)).rows).toBe(before + 2);
  });
});

describe('digest', () => {
  let client: pg.Client;

  beforeAll(async () => {
    client = await server.database('digested', 'migrated');
    await fill(client, { rows: 2_000 });
    // So that a changed value is the only change.
    await client.query('ALTER TABLE "Task" DISABLE TRIGGER USER');
  });

  test('changes with any single value of any column of any table', async () => {
    const before = await digest(client);
    const { rows: columns } = await client.query<{ table: string; column: string; type: string }>(
      `SELECT table_name AS table, column_name AS column, udt_name AS type FROM information_schema.columns
       JOIN information_schema.tables USING (table_schema, table_name)
       WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
         AND table_name NOT IN ('_prisma_migrations', 'Session', 'Heartbeat')`,
    );
    expect(columns.length).toBeGreaterThan(60);
    for (const { table, column, type } of columns) {
      // The table is copied without its constraints, so that every value may change.
      await client.query(`CREATE TABLE "copy" AS TABLE "${table}"`);
      const copied = await digest(client);
      const changed = await client.query(
        `UPDATE "copy" SET "${column}" = ${otherValue(type, column)} WHERE ctid = (SELECT min(ctid) FROM "copy")`,
      );
      expect(changed.rowCount).toBe(1);
      const after = await digest(client);
      const touched = { table, column, same: after.digest === copied.digest };
      expect(touched).toEqual({ table, column, same: false });
      await client.query('DROP TABLE "copy"');
    }
    expect(await digest(client)).toEqual(before);
  });

  test('does not depend on the order of rows, nor on the session', async () => {
    const before = await digest(client);
    await client.query('CREATE TABLE "moved" AS SELECT * FROM "Comment" ORDER BY "id"');
    const sorted = (await digest(client)).digest;
    await client.query(
      'DROP TABLE "moved"; CREATE TABLE "moved" AS SELECT * FROM "Comment" ORDER BY "id" DESC',
    );
    await client.query("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'; SET bytea_output = 'escape'");
    expect((await digest(client)).digest).toBe(sorted);
    await client.query('DROP TABLE "moved"');
    expect(await digest(client)).toEqual(before);
  });

  test('lives through dropped columns and tables, and shows them', async () => {
    const before = await digest(client);
    await client.query('ALTER TABLE "Task" DROP COLUMN "details"');
    const withoutColumn = await digest(client);
    expect(withoutColumn).toMatchObject({ rows: before.rows });
    expect(withoutColumn.digest).not.toBe(before.digest);
    await client.query('DROP TABLE "Comment" CASCADE');
    const withoutTable = await digest(client);
    expect(withoutTable.rows).toBeLessThan(before.rows);
    expect(withoutTable.digest).not.toBe(withoutColumn.digest);
  });
});

describe('the application', () => {
  test('beats, fails where a column is gone, moves with its secret and outlives its connections', async () => {
    const first = await server.database('app_first', 'migrated');
    const second = await server.database('app_second', 'migrated');
    await fill(first, { rows: 500 });
    const before = await digest(first);
    let database = 'app_first';
    const app = new TaskTracker({ databaseUrl: async () => server.url(database), caFile: server.caFile });
    await app.start();
    expect(app.stats()).toMatchObject({ beats: 1, failures: 0, healthy: true, server: { database } });
    expect(await digest(first)).toMatchObject({ rows: before.rows, digest: before.digest });
    await first.query('ALTER TABLE "Task" DROP COLUMN "details"');
    expect(await app.beat()).toBe(false);
    expect(app.stats()).toMatchObject({ healthy: false, lastError: { code: '42703' } });
    expect(await app.refresh()).toBe(false);
    database = 'app_second';
    expect(await app.refresh()).toBe(true);
    expect(await app.beat()).toBe(true);
    const { rows } = await second.query(
      `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
       WHERE application_name = 'task-tracker' AND datname = 'app_second'`,
    );
    expect(rows).toEqual([{ ended: true }]);
    // The connection may or may not have heard of its end; the beat after that is on a new one.
    await app.beat();
    expect(await app.beat()).toBe(true);
    await app.stop();
    expect(app.stats()).toMatchObject({ reconnects: 1, server: { database: 'app_second' } });
    const open = `SELECT FROM pg_stat_activity WHERE application_name = 'task-tracker'`;
    await until(async () => (await second.query(open)).rowCount === 0);
  });

  test('asked for a beat or a look while one is under way, it does another one after that', async () => {
    await server.database('app_third', 'migrated');
    const client = await server.database('app_fourth', 'migrated');
    const looks: ((url: string) => void)[] = [];
    const app = new TaskTracker({
      databaseUrl: () => new Promise((resolve) => looks.push(resolve)),
      caFile: server.caFile,
    });
    const answer = async (database: string): Promise<void> => {
      await until(() => looks.length > 0);
      looks.shift()?.(server.url(database));
    };
    const underWay = app.refresh();
    const asked = app.refresh();
    await answer('app_third');
    expect(await underWay).toBe(true);
    await answer('app_fourth');
    expect(await asked).toBe(true);
    expect(app.stats().server).toMatchObject({ database: 'app_fourth' });

    await client.query('BEGIN');
    await client.query('LOCK TABLE "Heartbeat"');
    const waits = app.beat();
    const next = app.beat();
    await client.query('COMMIT');
    expect([await waits, await next]).toEqual([true, true]);
    expect(app.stats()).toMatchObject({ beats: 2, failures: 0 });
    await app.stop();
  });

  test('says what is wrong without the password', async () => {
    const url = server.url('empty', { password: 'not-this-secret' });
    const app = new TaskTracker({ databaseUrl: async () => url, caFile: server.caFile });
    await app.start();
    expect(app.stats()).toMatchObject({
      beats: 0,
      failures: 1,
      healthy: false,
      lastError: { code: '28P01' },
    });
    expect(JSON.stringify(app.stats())).not.toContain('not-this-secret');
    await app.stop();
  });
});

/** An SQL expression for a value of the type that differs from the one in the column. */
function otherValue(type: string, column: string): string {
  const value = `"${column}"`;
  switch (type) {
    case 'bool':
      return `NOT ${value}`;
    case 'int4':
    case 'int8':
      return `coalesce(${value}, 0) + 1`;
    case 'numeric':
      return `coalesce(${value}, 0) + 0.01`;
    case 'timestamptz':
      return `coalesce(${value}, 'epoch') + interval '1 millisecond'`;
    case 'date':
      return `coalesce(${value}, 'epoch') + 1`;
    case 'uuid':
      return 'gen_random_uuid()';
    case 'jsonb':
      return `${value} || '{"other": true}'`;
    case '_text':
      return `array_append(${value}, 'other')`;
    case 'bytea':
      return `${value} || '\\x00'`;
    case 'text':
    case 'varchar':
      return `CASE WHEN ${value} IS NULL THEN '' ELSE left(${value}, 1) || 'x' || substr(${value}, 3) || '.' END`;
    case 'bpchar':
      return `'#other!'`;
    default:
      // An enum: its last value, or its first where the row has the last.
      return `CASE WHEN ${value} = enum_last(${value}) THEN enum_first(${value}) ELSE enum_last(${value}) END`;
  }
}
