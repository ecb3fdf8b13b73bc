import { rm } from 'node:fs/promises';
import type { Client } from 'pg';
import { z } from 'zod';
import type { Backup, Server } from '../../../sandbox/postgres/contract';
import { RestoreTimeOutOfRange } from '../../../sandbox/postgres/errors';
import { makePlayground, type Playground } from './playground';

const ACCOUNTS = 50;
const progressSchema = z.object({ number: z.number(), count: z.number() });

/** Moves money between accounts and counts its acknowledged commits in a table, until it is told to stop. */
function startWriter(client: Client, writer: number): { stop(): Promise<number> } {
  let go = true;
  const run = async (): Promise<number> => {
    let acknowledged = 0;
    while (go) {
      const from = 1 + Math.floor(Math.random() * ACCOUNTS);
      const to = 1 + Math.floor(Math.random() * ACCOUNTS);
      const amount = Math.floor(Math.random() * 10);
      const [low, high] = from < to ? [-amount, amount] : [amount, -amount];
      await client.query(`
        BEGIN;
        UPDATE account SET balance = balance + ${low} WHERE id = ${Math.min(from, to)};
        UPDATE account SET balance = balance + ${high} WHERE id = ${Math.max(from, to)};
        INSERT INTO transfer (writer, number, padding) VALUES (${writer}, ${acknowledged + 1}, repeat('x', 500));
        COMMIT`);
      acknowledged++;
    }
    return acknowledged;
  };
  const done = run();
  return {
    stop: () => {
      go = false;
      return done;
    },
  };
}

/** Commits row after row, and notes when each commit was asked for and acknowledged (in milliseconds since 1970). */
function startDiary(
  client: Client,
  writer: number,
): { stop(): Promise<readonly { begun: number; done: number }[]> } {
  let go = true;
  const run = async (): Promise<readonly { begun: number; done: number }[]> => {
    const commits: { begun: number; done: number }[] = [];
    while (go) {
      const begun = Date.now();
      await client.query('INSERT INTO entry VALUES ($1, $2)', [writer, commits.length + 1]);
      // Rounded up as `begun` is rounded down.
      commits.push({ begun, done: Date.now() + 1 });
    }
    return commits;
  };
  const done = run();
  return {
    stop: () => {
      go = false;
      return done;
    },
  };
}

describe('backups and restores', () => {
  let playground: Playground;
  let source: Server;
  let client: Client;

  const rows = async (server: Server, sql: string): Promise<readonly unknown[]> =>
    server.admin(sql, [], 'app');
  const restore = async (name: string, backup: Backup): Promise<Server> =>
    playground.postgres.restore({ ...(await playground.options(name)), backup: backup.directory });

  beforeAll(async () => {
    playground = await makePlayground();
    source = await playground.create('source');
    client = await playground.login(source.address);
    await client.query('CREATE TABLE step (name text)');
  });
  afterAll(async () => {
    await playground.stop();
  });

  it('backs up one moment while others write, with or without an archive', async () => {
    await client.query(`
      CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
      INSERT INTO account SELECT g, 1000 FROM generate_series(1, ${ACCOUNTS}) g;
      CREATE TABLE transfer (writer int, number int, padding text);
      CREATE TABLE soon_gone AS SELECT repeat('y', 200) FROM generate_series(1, 50000);`);
    await source.configure({ parameters: {}, forceTls: true });
    const writers = await Promise.all(
      [1, 2, 3].map(async (writer) => startWriter(await playground.login(source.address), writer)),
    );
    // The backup begins only when every writer has written.
    const written = async (): Promise<number> => {
      const { rows: busy } = await client.query('SELECT DISTINCT writer FROM transfer');
      return busy.length;
    };
    while ((await written()) < writers.length);
    const { rows: before } = await client.query(
      'SELECT writer, max(number) AS number, count(*)::int FROM transfer GROUP BY writer ORDER BY writer',
    );
    const taking = source.backup(playground.backupDirectory('under-load'));
    await client.query('DROP TABLE soon_gone');
    const backup = await taking;
    const acknowledged = await Promise.all(writers.map((writer) => writer.stop()));

    const copy = await restore('under-load', backup);
    expect(await rows(copy, 'SELECT count(*)::int, sum(balance)::int FROM account')).toEqual([
      { count: ACCOUNTS, sum: ACCOUNTS * 1000 },
    ]);
    // Every writer's commits up to one of them, without a gap.
    const kept = await rows(
      copy,
      'SELECT writer, max(number) AS number, count(*)::int FROM transfer GROUP BY writer ORDER BY writer',
    );
    for (const [index, total] of acknowledged.entries()) {
      const { number, count } = progressSchema.parse(kept[index]);
      expect(count).toBe(number);
      expect(number).toBeGreaterThanOrEqual(progressSchema.parse(before[index]).number);
      expect(number).toBeLessThanOrEqual(total);
    }
    expect(backup.bytes).toBeGreaterThan(20_000_000);
    await copy.admin('CREATE TABLE writable ()');
    await copy.stop();
    await source.configure({
      parameters: {},
      forceTls: true,
      walArchive: (await playground.options('source')).walArchive,
    });
  });

  it('restores to a time between two commits, again and again, and not beyond what it has', async () => {
    const options = await playground.options('source');
    const backup = await source.backup(playground.backupDirectory('base'));
    await client.query(`INSERT INTO step VALUES ('kept')`);
    const time = await source.archiveUpToNow();
    await client.query(`INSERT INTO step VALUES ('lost')`);
    // Nothing more is written here: a later time is reached all the same.
    const later = await source.archiveUpToNow();
    const toTime = async (name: string, at: Date): Promise<Server> =>
      playground.postgres.restoreToTime({
        ...(await playground.options(name)),
        backup: backup.directory,
        sourceWalArchive: options.walArchive,
        time: at,
      });

    const first = await toTime('first', time);
    expect(await rows(first, 'SELECT name FROM step')).toEqual([{ name: 'kept' }]);
    const second = await toTime('second', later);
    expect(await rows(second, 'SELECT name FROM step ORDER BY name')).toEqual([
      { name: 'kept' },
      { name: 'lost' },
    ]);
    await second.stop();

    await expect(toTime('future', new Date(Date.now() + 60_000))).rejects.toThrow(RestoreTimeOutOfRange);
    await expect(toTime('past', new Date(backup.consistentAt.getTime() - 1))).rejects.toThrow(
      RestoreTimeOutOfRange,
    );

    // What was restored is itself backed up and restored, on a timeline of its own.
    const again = await first.backup(playground.backupDirectory('again'));
    const restored = await playground.login(first.address);
    await restored.query(`INSERT INTO step VALUES ('after the restore')`);
    const third = await playground.postgres.restoreToTime({
      ...(await playground.options('third')),
      backup: again.directory,
      sourceWalArchive: (await playground.options('first')).walArchive,
      time: await first.archiveUpToNow(),
    });
    expect(await rows(third, 'SELECT name FROM step ORDER BY name')).toEqual([
      { name: 'after the restore' },
      { name: 'kept' },
    ]);
    await Promise.all([first.stop(), third.stop()]);
  });

  it('restores to a time while others write: what was acknowledged by then, and nothing that began later', async () => {
    const options = await playground.options('source');
    const backup = await source.backup(playground.backupDirectory('busy'));
    await client.query('CREATE TABLE entry (writer int, number int)');
    const writers = await Promise.all(
      [1, 2, 3].map(async (writer) => startDiary(await playground.login(source.address), writer)),
    );
    const written = async (): Promise<number> => {
      const { rows: seen } = await client.query<{ least: number }>(
        // Nothing, until each of them has begun.
        `SELECT CASE WHEN count(*) = ${writers.length} THEN min(count) ELSE 0 END::int AS least
           FROM (SELECT count(*) FROM entry GROUP BY writer)`,
      );
      return seen[0]?.least ?? 0;
    };
    while ((await written()) < 20);
    const time = new Date();
    const upTo = (await written()) + 20;
    while ((await written()) < upTo);
    const diaries = await Promise.all(writers.map((writer) => writer.stop()));
    await source.archiveUpToNow();

    const restored = await playground.postgres.restoreToTime({
      ...(await playground.options('between')),
      backup: backup.directory,
      sourceWalArchive: options.walArchive,
      time,
    });
    const kept = await rows(
      restored,
      'SELECT writer, max(number) AS number, count(*)::int FROM entry GROUP BY writer ORDER BY writer',
    );
    for (const [index, commits] of diaries.entries()) {
      const { number, count } = progressSchema.parse(kept[index]);
      expect(count).toBe(number);
      expect(number).toBeGreaterThanOrEqual(commits.filter(({ done }) => done < time.getTime()).length);
      // The whole millisecond of the time belongs to it.
      expect(number).toBeLessThanOrEqual(commits.filter(({ begun }) => begun <= time.getTime() + 1).length);
      expect(number).toBeLessThan(commits.length);
    }
    await restored.stop();
  });

  it('restores a snapshot whose instance and archive are gone, with the passwords of its moment', async () => {
    const doomed = await playground.create('doomed');
    const { walArchive } = await playground.options('doomed');
    const snapshot = await doomed.backup(playground.backupDirectory('snapshot'));
    await doomed.setMasterPassword('boss', 'later');
    await doomed.stop();
    await rm(doomed.directory, { recursive: true });
    await rm(walArchive, { recursive: true, force: true });

    const revived = await restore('revived', snapshot);
    const master = await playground.login(revived.address);
    expect((await master.query('SELECT pg_is_in_recovery() AS recovering')).rows).toEqual([
      { recovering: false },
    ]);
    await revived.stop();
  });
});
