/**
 * What the RDS service asks of PostgreSQL. An instance is a server process on a data directory; a snapshot is a physical
 * base backup; the automated backups of an instance are base backups plus its archived WAL.
 */

/** Where a server listens. On Linux every instance has a loopback address of its own, elsewhere a port of its own. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** The sandbox's certificate authority: `caFile` is what clients trust, as RDS's bundle is on AWS. */
export interface Authority {
  readonly caFile: string;
  /** A certificate and key for a server on `hosts` (names or addresses), in PEM. */
  issue(hosts: readonly string[]): Promise<{ certificate: string; key: string }>;
}

export interface ServerOptions {
  readonly directory: string;
  readonly address: Address;
  /** postgresql.conf settings that come from the parameter group, e.g. `wal_level` or `max_slot_wal_keep_size`. */
  readonly parameters: Readonly<Record<string, string>>;
  /** `rds.force_ssl`: connections without TLS are refused. */
  readonly forceTls: boolean;
  /** Directory that gets this server's archived WAL; none switches archiving off (backup retention 0). */
  readonly walArchive?: string;
}

export interface NewServerOptions extends ServerOptions {
  readonly masterUsername: string;
  /** In clear text, or as the SCRAM verifier that PostgreSQL keeps of it. */
  readonly masterPassword: string;
  readonly databaseName: string;
}

export interface RestoreOptions extends ServerOptions {
  /** Directory of the base backup. */
  readonly backup: string;
}

export interface RestoreToTimeOptions extends RestoreOptions {
  /** WAL archive of the instance that the backup was taken from. */
  readonly sourceWalArchive: string;
  /** Real time up to which commits are replayed (inclusive), as PostgreSQL's clock saw them. */
  readonly time: Date;
}

export interface Backup {
  readonly directory: string;
  /** Real time at which the backup became consistent: what `recovery_target=immediate` restores. */
  readonly consistentAt: Date;
  readonly bytes: number;
}

/** A running PostgreSQL server. It ends when the sandbox ends, however the sandbox ends. */
export interface Server {
  readonly address: Address;
  readonly directory: string;
  /** Runs SQL as the service's own superuser (RDS: `rdsadmin`), which no customer can use. */
  admin(
    sql: string,
    values?: readonly unknown[],
    database?: string,
  ): Promise<readonly Record<string, unknown>[]>;
  /** `password` in clear text, or as the SCRAM verifier that PostgreSQL keeps of it. */
  setMasterPassword(username: string, password: string): Promise<void>;
  /** Takes a physical base backup into `directory` while the server runs. */
  backup(directory: string): Promise<Backup>;
  /** Archives what was written so far; afterwards a restore to any time up to the returned real time is possible. */
  archiveUpToNow(): Promise<Date>;
  /** Applies settings: reloads, and says which of them wait for a restart. */
  configure(
    options: Pick<ServerOptions, 'parameters' | 'forceTls'> & { readonly walArchive?: string },
  ): Promise<{ pendingReboot: boolean }>;
  restart(): Promise<void>;
  /** Moves the server to another address (rename). */
  readdress(address: Address): Promise<void>;
  stop(): Promise<void>;
  /** Resolves when the server process has ended: because it was stopped, or by itself. */
  readonly ended: Promise<'was stopped' | 'died'>;
}

/** Something that postgresql.conf can set. */
export interface ServerParameter {
  readonly name: string;
  /** Read at the start of the server only. */
  readonly isStatic: boolean;
  readonly type: 'boolean' | 'integer' | 'float' | 'list' | 'string';
  readonly range?: { readonly min: number; readonly max: number };
  readonly description: string;
}

export interface Postgres {
  readonly version: string;
  readonly parameters: readonly ServerParameter[];
  readonly authority: Authority;
  /** An address that nothing uses now, with the wished port where possible. */
  reserveAddress(port: number): Promise<Address>;
  releaseAddress(address: Address): void;
  /**
   * Reserves an address that a server of an earlier process had.
   * @throws PortTaken when somebody else listens there
   */
  claimAddress(address: Address): Promise<void>;
  /** Makes ahead of time what the first `create` would have to make. */
  prepare(): Promise<void>;
  create(options: NewServerOptions): Promise<Server>;
  restore(options: RestoreOptions): Promise<Server>;
  restoreToTime(options: RestoreToTimeOptions): Promise<Server>;
  /** Starts a server again on a data directory that it had before. @throws PortTaken when its address is in use */
  open(options: ServerOptions): Promise<Server>;
  /** Removes a server's directory, whole or half made, and ends what an earlier process left running there. */
  remove(directory: string): Promise<void>;
  /** Stops every server. */
  stop(): Promise<void>;
}
