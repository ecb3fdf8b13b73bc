import { postgresParameters } from '../../../sandbox/postgres/settings';

describe('postgresParameters', () => {
  it('has the defaults of RDS for PostgreSQL 17', () => {
    expect(postgresParameters({})).toEqual({ parameters: { wal_level: 'replica' }, forceTls: true });
  });

  it('translates what only RDS knows', () => {
    expect(postgresParameters({ 'rds.logical_replication': '1', 'rds.force_ssl': '0' })).toEqual({
      parameters: { wal_level: 'logical' },
      forceTls: false,
    });
  });

  it('passes on what PostgreSQL knows, but nothing that is the sandbox’s own', () => {
    const { parameters } = postgresParameters({
      max_slot_wal_keep_size: '1024',
      shared_preload_libraries: 'rdsutils, pg_stat_statements,pgaudit',
      port: '1',
      ssl: '0',
      archive_command: 'rm -rf /',
      'rds.log_retention_period': '4320',
    });
    expect(parameters).toEqual({
      max_slot_wal_keep_size: '1024',
      shared_preload_libraries: 'pg_stat_statements',
      wal_level: 'replica',
    });
  });
});
