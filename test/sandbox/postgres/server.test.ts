import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server as NetServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { Client } from 'pg';
import type { Server } from '../../../sandbox/postgres/contract';
import { PostgresStartFailed, SettingRefused } from '../../../sandbox/postgres/errors';
import { SERVICE_USER } from '../../../sandbox/postgres/settings';
import { MASTER, makePlayground, type Playground } from './playground';

describe('a PostgreSQL server of the sandbox', () => {
  let playground: Playground;
  let server: Server;

  beforeAll(async () => {
    playground = await makePlayground();
    server = await playground.create('main');
  });
  afterAll(async () => {
    await playground.stop();
    expect(existsSync(playground.directory)).toBe(false);
  });

  it('is the version that the package has', async () => {
    expect(playground.postgres.version).toMatch(/^17\.\d+$/);
    const [row] = await server.admin('SHOW server_version');
    expect(row).toEqual({ server_version: playground.postgres.version });
  });

  it('takes logins over verified TLS, and keeps no password in its log', async () => {
    const client = await playground.login(server.address);
    const { rows } = await client.query('SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    expect(rows).toEqual([{ ssl: true, version: 'TLSv1.3' }]);
    expect(playground.logged.join('\n')).not.toContain(MASTER.masterPassword);
  });

  it('refuses a wrong password, and a client that trusts another authority', async () => {
    await expect(playground.login(server.address, { password: 'wrong' })).rejects.toMatchObject({
      code: '28P01',
    });
    const client = new Client({ ...server.address, user: 'boss', password: 'x', database: 'app', ssl: true });
    await expect(client.connect()).rejects.toThrow(/unable to verify|self.signed/);
  });

  it('opens to the service of no other sandbox, though both start from the same cluster', async () => {
    const password = (directory: string): string =>
      readFileSync(join(directory, 'postgres', 'service-password'), 'utf8');
    const other = await makePlayground();
    try {
      const elsewhere = await other.create('main');
      const [mine, theirs] = await Promise.all(
        [server, elsewhere].map((each) => each.admin('SELECT system_identifier FROM pg_control_system()')),
      );
      expect(theirs).toEqual(mine);
      const login = { user: SERVICE_USER, database: 'postgres' };
      await playground.login(server.address, { ...login, password: password(playground.directory) });
      await expect(
        playground.login(server.address, { ...login, password: password(other.directory) }),
      ).rejects.toMatchObject({ code: '28P01' });
    } finally {
      await other.stop();
    }
  });

  it('refuses a connection without TLS while TLS is forced, and lets it in when it is not', async () => {
    const plain = (): Client =>
      new Client({
        ...server.address,
        user: 'boss',
        password: MASTER.masterPassword,
        database: 'app',
        ssl: false,
      });
    await expect(plain().connect()).rejects.toThrow(
      /^no pg_hba\.conf entry for host .*, user "boss", database "app", no encryption$/,
    );
    const walArchive = join(playground.directory, 'archives', 'main');
    await server.configure({ parameters: {}, forceTls: false, walArchive });
    const client = plain();
    await client.connect();
    const { rows } = await client.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
    await client.end();
    expect(rows).toEqual([{ ssl: false }]);
    await server.configure({ parameters: {}, forceTls: true, walArchive });
    await expect(plain().connect()).rejects.toThrow(/no encryption/);
  });

  it('gives the master user what RDS gives, and no more', async () => {
    const master = await playground.login(server.address);
    const { rows } = await master.query(
      `SELECT rolsuper, rolcreatedb, rolcreaterole, pg_has_role('rds_superuser', 'MEMBER') AS member,
              (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'app') AS owner
       FROM pg_roles WHERE rolname = current_user`,
    );
    expect(rows).toEqual([
      { rolsuper: false, rolcreatedb: true, rolcreaterole: true, member: true, owner: 'boss' },
    ]);
    await expect(master.query('ALTER SYSTEM SET work_mem = 64')).rejects.toMatchObject({ code: '42501' });
    await expect(playground.login(server.address, { database: 'rdsadmin' })).rejects.toThrow(
      /pg_hba\.conf rejects connection .* database "rdsadmin"/,
    );

    await master.query(`CREATE ROLE app LOGIN PASSWORD 'app'`);
    const app = await playground.login(server.address, { user: 'app', password: 'app' });
    const { rows: sessions } = await app.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    // Not events.once: that would fail with the error that a terminated session gets first.
    const ended = new Promise((resolve) => app.once('end', resolve));
    const { rows: terminated } = await master.query('SELECT pg_terminate_backend($1) AS done', [
      sessions[0]?.pid,
    ]);
    expect(terminated).toEqual([{ done: true }]);
    await ended;
  });

  it('changes the password of the master user', async () => {
    await server.setMasterPassword('boss', 'another');
    await expect(playground.login(server.address)).rejects.toMatchObject({ code: '28P01' });
    await playground.login(server.address, { password: 'another' });
    await server.setMasterPassword('boss', MASTER.masterPassword);
    await playground.login(server.address);
  });

  it('says which settings wait for a restart, and refuses the ones that PostgreSQL does not take', async () => {
    const walArchive = join(playground.directory, 'archives', 'main');
    const configure = (parameters: Record<string, string>): Promise<{ pendingReboot: boolean }> =>
      server.configure({ parameters, forceTls: true, walArchive });
    expect(await configure({ work_mem: '8MB' })).toEqual({ pendingReboot: false });
    expect(await server.admin('SHOW work_mem')).toEqual([{ work_mem: '8MB' }]);
    expect(await configure({ wal_level: 'logical' })).toEqual({ pendingReboot: true });
    expect(await server.admin('SHOW wal_level')).toEqual([{ wal_level: 'replica' }]);
    await server.restart();
    expect(await server.admin('SHOW wal_level')).toEqual([{ wal_level: 'logical' }]);
    for (const parameters of [{ wal_level: 'all' }, { no_such_setting: '1' }, { work_mem: 'much' }])
      await expect(configure(parameters)).rejects.toThrow(SettingRefused);
    expect(await configure({ wal_level: 'logical' })).toEqual({ pendingReboot: false });
  });

  it('takes the next port when its own has been taken since it was reserved', async () => {
    const options = await playground.options('elsewhere');
    const other: NetServer = createServer().listen({ ...options.address, exclusive: true });
    await once(other, 'listening');
    const moved = await playground.postgres.create({ ...options, ...MASTER, databaseName: 'postgres' });
    expect(moved.address).toEqual({ host: options.address.host, port: options.address.port + 1 });
    other.close();
    await once(other, 'close');

    const address = await playground.postgres.reserveAddress(6543);
    await moved.readdress(address);
    const client = await playground.login(address, { database: 'postgres' });
    expect((await client.query('SHOW port')).rows).toEqual([{ port: String(address.port) }]);
    await client.end();
    await moved.stop();
    await moved.ended;
    await expect(playground.login(address, { database: 'postgres' })).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
    const opened = await playground.postgres.open({ ...options, address });
    expect(await opened.admin('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await opened.stop();
  });

  it('says with the end of the log why a server did not start, and leaves nothing of it', async () => {
    const options = await playground.options('broken', { parameters: { shared_buffers: '1' } });
    const failure: unknown = await playground.postgres
      .create({ ...options, ...MASTER, databaseName: 'app' })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PostgresStartFailed);
    expect(failure).toMatchObject({
      name: 'PostgresStartFailed',
      message: expect.stringContaining('shared_buffers') as string,
    });
    expect(existsSync(options.directory)).toBe(false);
  });
});
