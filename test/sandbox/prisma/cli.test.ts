import { prisma } from '../../../sandbox/prisma/cli';
import { startDatabaseServer, type DatabaseServer } from '../sample-app/database-server';

let server: DatabaseServer;

beforeAll(async () => {
  server = await startDatabaseServer();
});

afterAll(async () => {
  await server.stop();
});

describe('the Prisma CLI on the WebAssembly schema engine', () => {
  const status = async (databaseUrl: string, caFile?: string): Promise<string> => {
    const projectDirectory = (await server.project('errors')).directory;
    const options = { databaseUrl, projectDirectory, ...(caFile === undefined ? {} : { caFile }) };
    const { exitCode, stdout, stderr } = await prisma(['migrate', 'status'], options);
    expect(exitCode).toBe(1);
    return stdout + stderr;
  };

  test('says P1000 for a wrong password, and does not show it', async () => {
    const said = await status(server.url('empty', { password: 'not-this-secret' }), server.caFile);
    expect(said).toContain('P1000: Authentication failed');
    expect(said).not.toContain('not-this-secret');
  });

  test('says P1001 where no server listens', async () => {
    const url = new URL(server.url('empty'));
    url.port = '1';
    expect(await status(url.href, server.caFile)).toContain("P1001: Can't reach database server");
  });

  test('says P1003 for a database that is not there', async () => {
    expect(await status(server.url('nowhere'), server.caFile)).toContain(
      'P1003: Database `nowhere` does not exist',
    );
  });

  test('refuses a certificate of an authority that it does not know', async () => {
    expect(await status(server.url('empty'))).toContain('P1011: Error opening a TLS connection');
  });

  test('takes the authority from sslrootcert, and the schema from the URL', async () => {
    const client = await server.database('other_schema', 'empty');
    const project = await server.project('other_schema');
    const parameters = { sslrootcert: server.caFile, schema: 'task tracker' };
    const deployed = await prisma(['migrate', 'deploy'], {
      databaseUrl: server.url('other_schema', { parameters }),
      projectDirectory: project.directory,
    });
    expect(deployed).toMatchObject({ exitCode: 0 });
    const { rows } = await client.query(`SELECT to_regclass('"task tracker"."Task"') IS NOT NULL AS there`);
    expect(rows).toEqual([{ there: true }]);
  });

  test('waits ten seconds for the lock of another migrate, then says P1002 and applies nothing', async () => {
    const client = await server.database('locked', 'empty');
    await client.query('SELECT pg_advisory_lock(72707369)');
    const project = await server.project('locked');
    const { exitCode, stderr } = await server.prisma(['migrate', 'deploy'], 'locked', project);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('P1002');
    const { rows } = await client.query(`SELECT to_regclass('"User"') IS NULL AS missing`);
    expect(rows).toEqual([{ missing: true }]);
  });
});
