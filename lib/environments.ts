import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { RegionInfo } from 'aws-cdk-lib/region-info';
import type { InstancePrice } from '../lambdas/contract/rules';
import type { EnvironmentName } from '../lambdas/contract/settings';
import type { CiRepository } from './ci-role';
import { checkShape, isWhole } from './settings-shape';

/** Where the functions that talk to PostgreSQL run, when the VPC exists already. */
export interface ExistingVpc {
  readonly vpcId: string;
  /** One per subnet, in the same order. */
  readonly availabilityZones: readonly string[];
  /** Subnets without a route from the internet, from which the database can be reached. */
  readonly subnetIds: readonly string[];
  /**
   * Whether AWS Secrets Manager can be reached from these subnets already, by NAT or an endpoint.
   * If not, an interface endpoint is made (about 9 dollars a month). It takes the name of Secrets Manager for the whole VPC, and
   * lets in every private address.
   */
  readonly reachesSecretsManager: boolean;
}

/**
 * A database that exists already: nothing of it is made, changed or deleted by CloudFormation, but for a rule of its security group.
 * What has to be so before is in docs/existing-database.md.
 */
export interface ExistingDatabase {
  readonly vpc: ExistingVpc;
  /** As it is called now; recoveries look it up in the secret, so nobody has to change this afterwards. */
  readonly instanceId: string;
  readonly port: number;
  /** The security group of the instance; the functions are let in. */
  readonly securityGroupId: string;
  /** Complete ARN (with its six random characters) of the secret with the master user's `username` and `password`. */
  readonly masterSecretArn: string;
  /** Complete ARN of the secret that holds the application's DATABASE_URL. */
  readonly databaseUrlSecretArn: string;
}

/** How a database that is made here is set up. */
export interface DatabaseSettings {
  /**
   * The instance that the stack owns: after a recovery the new one, once `npm run adopt` has said how. Another name here is
   * another resource of the stack: the one before it is let go, and a deploy with `--import-existing-resources` takes this one.
   * @default - `<environment>-database`, which the first deploy makes
   */
  readonly instanceIdentifier?: string;
  /** A size of instance that Graviton offers, for example `t4g.medium`. */
  readonly instanceType: string;
  readonly allocatedStorageGiB: number;
  /** Storage grows by itself up to here. */
  readonly maxAllocatedStorageGiB: number;
  /** A standby in another Availability Zone. */
  readonly multiAz: boolean;
  /** Keeps the instance and its secrets when the stack is deleted, and refuses to delete the instance. */
  readonly protectedFromDeletion: boolean;
  /** Name of the application's database. */
  readonly databaseName: string;
  /** Name of the role that the application logs in as. */
  readonly applicationRole: string;
}

/** When snapshots are taken by the clock, and how long they stay. */
export interface SnapshotSchedule {
  /** Hour of the day, 0 to 23, at which the daily snapshot is taken. */
  readonly hour: number;
  /** Of that hour, as the IANA data base names it. */
  readonly timeZone: string;
  /** Days for which every one of them is kept. */
  readonly dailyDays: number;
  /** Days for which one a week is kept. */
  readonly weeklyDays: number;
  /** So many of the newest good snapshots, of whatever kind, are kept however old they are. */
  readonly keepNewest: number;
  /** People are told when the newest good snapshot is older than so many hours. */
  readonly newestAtMostHours: number;
}

/** Copies of snapshots in another Region, for when those of this Region are gone, and how long they stay there. */
export interface SnapshotCopies {
  /** Another Region of this account, as AWS writes it: eu-west-1. */
  readonly region: string;
  /**
   * Key of that Region under which the copies are, as ARN or alias; its policy has to let this system's roles use it.
   * @default - the AWS managed key of that Region
   */
  readonly kmsKeyId?: string;
  /** Days that the copy of a pre-migration snapshot is kept. */
  readonly preMigrationDays: number;
  /** Days for which the copy of every scheduled snapshot is kept. */
  readonly dailyDays: number;
  /** Days for which one of them a week is kept. */
  readonly weeklyDays: number;
  /** So many of the newest good copies are kept however old they are. */
  readonly keepNewest: number;
  /** People are told when the newest good copy is older than so many hours. */
  readonly newestAtMostHours: number;
}

/** Copies of snapshots in another account, for when the account of the database is lost, and how long they stay there. */
export interface SnapshotVault {
  /** Account that the stack `Vault-<Prefix>` is deployed in, in the Region of the database: twelve digits. */
  readonly account: string;
  /** Account of the database: twelve digits. */
  readonly homeAccount: string;
  /** Days that the copy of a pre-migration snapshot is kept. */
  readonly preMigrationDays: number;
  /** Days for which the copy of every scheduled snapshot is kept. */
  readonly dailyDays: number;
  /** Days for which one of them a week is kept. */
  readonly weeklyDays: number;
  /** So many of the newest good copies are kept however old they are. */
  readonly keepNewest: number;
  /** People are told when the newest good copy is older than so many hours. */
  readonly newestAtMostHours: number;
  /** Who is told by mail that the vault needs attention; each address has to confirm once. */
  readonly notify: readonly string[];
}

/** How recoveries are carried out. */
export interface RecoverySettings {
  /** Whether a person has to approve before the application gets the restored database. */
  readonly approveCutover: boolean;
  /** Whether a person has to approve before the old instance is deleted. */
  readonly approveRetirement: boolean;
  /** The ECS services that read DATABASE_URL at their start: they are restarted after the swap. Others can follow the event. */
  readonly consumers: readonly { readonly cluster: string; readonly service: string }[];
  /**
   * For so many minutes the new database is watched before the old instance goes, where the input does not say.
   * @default 0 - it is not watched
   */
  readonly soakMinutes?: number;
  /**
   * Names of CloudWatch alarms of this account and Region that must not ring meanwhile.
   * @default - none, but those of the input
   */
  readonly soakAlarms?: readonly string[];
}

/** When a recovery is rehearsed. */
export interface DrillSchedule {
  readonly dayOfWeek: (typeof DAYS_OF_WEEK)[number];
  /** Hour of that day, 0 to 23: after the snapshot of the day. */
  readonly hour: number;
  /** Of that hour, as the IANA data base names it. */
  readonly timeZone: string;
  /** People are told when no drill and no recovery has succeeded for so many days. */
  readonly newestAtMostDays: number;
}

const DAYS_OF_WEEK = ['MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT', 'SUN'] as const;

export interface EnvironmentSettings {
  readonly name: EnvironmentName;
  /** Prefix of the names of the stacks. */
  readonly stackPrefix: string;
  /** Days that RDS keeps continuous backups: 0 to 35; 0 switches them off. */
  readonly automatedBackupDays: number;
  /** Days that a pre-migration snapshot is kept; 0: none is made, the function answers `skipped`. */
  readonly preMigrationSnapshotDays: number;
  /** The snapshots that the clock takes; needed where the environment has the recovery machine, null elsewhere. */
  readonly scheduledSnapshots: SnapshotSchedule | null;
  /** Copies of the pre-migration and scheduled snapshots in another Region; null: none. Each costs its storage again. */
  readonly copies: SnapshotCopies | null;
  /** The same in another account, from which the account of the database can delete nothing; null: none. */
  readonly vault: SnapshotVault | null;
  /**
   * The repository whose pipeline may ask the gate, by a role without a key.
   * @default - no role is made: those who may invoke the function may ask
   */
  readonly ci?: CiRepository;
  /** When the recovery machine rehearses; null: never by itself. */
  readonly drills: DrillSchedule | null;
  /** How recoveries are carried out; null: the environment has no recovery machine. */
  readonly recovery: RecoverySettings | null;
  /** Days that logs are kept. */
  readonly logDays: RetentionDays;
  /** Who is told by mail how recoveries end; each address has to confirm once. Put your own here. */
  readonly notify: readonly string[];
  /**
   * What the instance costs, so that a plan can say what a second one adds. Yours differs: by Region, discount and date.
   * @default - a plan says that it is the double, without an amount
   */
  readonly price?: InstancePrice;
  /** The database that is made, or the one that exists. */
  readonly database: DatabaseSettings | { readonly existing: ExistingDatabase };
  /**
   * The VPC of the database that is made.
   * @default - a VPC with isolated subnets only is made for it
   */
  readonly vpc?: ExistingVpc;
}

const LIST_PRICE = 'list price of US East (N. Virginia), 2026-06';

/** Everything in which the environments differ. Stacks and constructs read it; nothing else says "if production". */
export const ENVIRONMENTS: Readonly<Record<EnvironmentName, EnvironmentSettings>> = {
  production: {
    name: 'production',
    stackPrefix: 'Production',
    automatedBackupDays: 30,
    preMigrationSnapshotDays: 90,
    // The quota of a Region is 100: daily ones for 90 days would leave no room for those before migrations.
    scheduledSnapshots: {
      hour: 3,
      timeZone: 'UTC',
      dailyDays: 7,
      weeklyDays: 90,
      keepNewest: 3,
      newestAtMostHours: 36,
    },
    copies: null,
    vault: null,
    drills: { dayOfWeek: 'SUN', hour: 5, timeZone: 'UTC', newestAtMostDays: 8 },
    recovery: { approveCutover: false, approveRetirement: true, consumers: [] },
    logDays: RetentionDays.ONE_YEAR,
    notify: [],
    price: {
      instanceClass: 'db.t4g.medium',
      perHour: 0.065,
      storagePerGibMonth: 0.115,
      currency: 'USD',
      priceOf: LIST_PRICE,
    },
    database: {
      instanceType: 't4g.medium',
      allocatedStorageGiB: 100,
      maxAllocatedStorageGiB: 500,
      multiAz: true,
      protectedFromDeletion: true,
      databaseName: 'app',
      applicationRole: 'app',
    },
  },
  staging: {
    name: 'staging',
    stackPrefix: 'Staging',
    automatedBackupDays: 7,
    preMigrationSnapshotDays: 7,
    scheduledSnapshots: {
      hour: 3,
      timeZone: 'UTC',
      dailyDays: 7,
      weeklyDays: 7,
      keepNewest: 2,
      newestAtMostHours: 36,
    },
    copies: null,
    vault: null,
    drills: null,
    recovery: { approveCutover: false, approveRetirement: false, consumers: [] },
    logDays: RetentionDays.ONE_MONTH,
    notify: [],
    price: {
      instanceClass: 'db.t4g.small',
      perHour: 0.032,
      storagePerGibMonth: 0.115,
      currency: 'USD',
      priceOf: LIST_PRICE,
    },
    database: {
      instanceType: 't4g.small',
      allocatedStorageGiB: 20,
      maxAllocatedStorageGiB: 100,
      multiAz: false,
      protectedFromDeletion: false,
      databaseName: 'app',
      applicationRole: 'app',
    },
  },
  development: {
    name: 'development',
    stackPrefix: 'Development',
    automatedBackupDays: 0,
    preMigrationSnapshotDays: 0,
    scheduledSnapshots: null,
    copies: null,
    vault: null,
    drills: null,
    recovery: null,
    logDays: RetentionDays.ONE_WEEK,
    notify: [],
    database: {
      instanceType: 't4g.micro',
      allocatedStorageGiB: 20,
      maxAllocatedStorageGiB: 50,
      multiAz: false,
      protectedFromDeletion: false,
      databaseName: 'app',
      applicationRole: 'app',
    },
  },
};

/**
 * The environments to make: all, or those that the context key `environments` lists (`-c environments=production,staging`).
 * @throws Error when the list names one that the table does not have, or two of the table would be in each other's way
 */
export function selectEnvironments(
  context: unknown,
  table: Readonly<Record<string, EnvironmentSettings>> = ENVIRONMENTS,
): EnvironmentSettings[] {
  if (context !== undefined && typeof context !== 'string')
    throw new Error(
      `The context key "environments" is ${JSON.stringify(context)}. Write names separated by commas: "production,staging".`,
    );
  const names = context?.split(',').map((name) => name.trim()) ?? Object.keys(table);
  checkEachItsOwn(table);
  return [...new Set(names)].map((name) => {
    const settings = Object.hasOwn(table, name) ? table[name] : undefined;
    if (!settings)
      throw new Error(
        `The context key "environments" names ${JSON.stringify(name)}, which lib/environments.ts does not have. ` +
          `Name one or several of ${Object.keys(table).join(', ')}, separated by commas.`,
      );
    // Functions, machine and topic are called after it: two of a name would be one.
    if (settings.name !== name)
      throw new Error(
        `${name}: name is ${JSON.stringify(settings.name)}. Write the name that it has in the table, ${JSON.stringify(name)}.`,
      );
    return settings;
  });
}

/** Each of two environments with one database would recover, thin and lock out what is the other's. */
function checkEachItsOwn(table: Readonly<Record<string, EnvironmentSettings>>): void {
  const owners = new Map<string, string>();
  const isAlone = (environment: string, field: string, value: string, place = ''): void => {
    const key = `${field} ${place} ${value}`;
    const other = owners.get(key);
    if (other !== undefined)
      throw new Error(
        `${environment}: ${field} is ${JSON.stringify(value)}, which ${other} has already. Give each environment its own.`,
      );
    owners.set(key, environment);
  };
  for (const [environment, settings] of Object.entries(table)) {
    // One that is not whole yet is told of when it is made.
    if (!isWhole(settings)) continue;
    const { stackPrefix, database } = settings;
    isAlone(environment, 'stackPrefix', stackPrefix);
    if (!('existing' in database)) continue;
    const { instanceId, masterSecretArn, databaseUrlSecretArn } = database.existing;
    isAlone(environment, 'database.existing.instanceId', instanceId, placeOf(databaseUrlSecretArn));
    isAlone(environment, 'database.existing.masterSecretArn', masterSecretArn);
    isAlone(environment, 'database.existing.databaseUrlSecretArn', databaseUrlSecretArn);
  }
}

const INSTANCE_NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** The instance that the stack makes, or has adopted. */
export function instanceIdentifierOf(environment: EnvironmentName, database: DatabaseSettings): string {
  return database.instanceIdentifier ?? `${environment}-database`;
}

/**
 * Finds what CloudFormation would refuse half an hour later, or accept and be wrong about.
 * @throws Error that says the value found and what to write instead
 */
export function checkSettings(settings: EnvironmentSettings): void {
  checkShape(settings);
  const { automatedBackupDays, preMigrationSnapshotDays, database, vpc } = settings;
  const refuse = (field: string, value: unknown, hint: string): never => {
    throw new Error(`${settings.name}: ${field} is ${JSON.stringify(value)}. ${hint}`);
  };
  if (!/^[A-Za-z][A-Za-z0-9-]*$/.test(settings.stackPrefix))
    refuse('stackPrefix', settings.stackPrefix, 'Write letters, digits and hyphens, a letter first.');
  if (!Number.isInteger(automatedBackupDays) || automatedBackupDays < 0 || automatedBackupDays > 35)
    refuse('automatedBackupDays', automatedBackupDays, 'RDS keeps backups for 0 to 35 whole days.');
  if (!Number.isInteger(preMigrationSnapshotDays) || preMigrationSnapshotDays < 0)
    refuse('preMigrationSnapshotDays', preMigrationSnapshotDays, 'Write a whole number of days, 0 for none.');
  if (settings.recovery && preMigrationSnapshotDays === 0)
    refuse(
      'preMigrationSnapshotDays',
      preMigrationSnapshotDays,
      'An environment with a recovery machine needs snapshots to go back to: write 1 or more, or set recovery to null.',
    );
  if (settings.recovery && automatedBackupDays === 0)
    refuse(
      'automatedBackupDays',
      automatedBackupDays,
      'An environment with a recovery machine needs automated backups to go back to a second, and RDS switches them on later with an outage only: write 1 or more, or set recovery to null.',
    );
  checkSchedule(settings, refuse);
  checkCopies(settings, refuse);
  checkVault(settings, refuse);
  checkDrills(settings, refuse);
  checkConsumers(settings, refuse);
  const { soakMinutes = 0, soakAlarms = [] } = settings.recovery ?? {};
  if (!Number.isInteger(soakMinutes) || soakMinutes < 0 || soakMinutes > 1440)
    refuse('recovery.soakMinutes', soakMinutes, 'Write whole minutes, from 0 to 1440.');
  if (soakAlarms.length > 50 || soakAlarms.some((name) => name.trim() === '' || name.startsWith('arn:')))
    refuse('recovery.soakAlarms', soakAlarms, 'Write the names, not the ARNs, of at most 50 alarms.');
  checkCi(settings, refuse);
  for (const address of settings.notify)
    if (!/^[^@\s]+@[^@\s]+$/.test(address)) refuse('notify', address, 'Write mail addresses.');
  if ('existing' in database) {
    if (vpc) refuse('vpc', vpc.vpcId, 'The VPC of an existing database is given inside database.existing.');
    checkExisting(database.existing, refuse);
    return;
  }
  if (vpc) checkVpc('vpc', vpc, refuse);
  if (!/^[a-z][a-z0-9-]*\.[a-z0-9-]+$/.test(database.instanceType) || database.instanceType.startsWith('db.'))
    refuse(
      'database.instanceType',
      database.instanceType,
      'Write it without "db.", for example "t4g.medium".',
    );
  for (const field of ['allocatedStorageGiB', 'maxAllocatedStorageGiB'] as const)
    if (!Number.isInteger(database[field]) || database[field] < 20 || database[field] > 65_536)
      refuse(`database.${field}`, database[field], 'RDS has 20 to 65,536 whole GiB of this storage.');
  if (database.maxAllocatedStorageGiB < database.allocatedStorageGiB * 1.1)
    refuse(
      'database.maxAllocatedStorageGiB',
      database.maxAllocatedStorageGiB,
      `RDS wants at least 10 % more than allocatedStorageGiB (${database.allocatedStorageGiB}).`,
    );
  const { instanceIdentifier } = database;
  if (
    instanceIdentifier !== undefined &&
    (instanceIdentifier.length > 63 || !INSTANCE_NAME.test(instanceIdentifier))
  )
    refuse(
      'database.instanceIdentifier',
      instanceIdentifier,
      'Write the name of the instance as RDS shows it: lower-case letters, digits and hyphens.',
    );
  for (const field of ['databaseName', 'applicationRole'] as const)
    if (!/^[a-z_][a-z0-9_]{0,62}$/.test(database[field]))
      refuse(
        `database.${field}`,
        database[field],
        'Write lower-case letters, digits and underscores, at most 63, not starting with a digit.',
      );
  if (/^(postgres$|pg_|rds|migration_rollback)/.test(database.applicationRole))
    refuse(
      'database.applicationRole',
      database.applicationRole,
      'That name is taken by PostgreSQL, RDS or this system.',
    );
}

function checkExisting(
  { vpc, instanceId, port, securityGroupId, ...secrets }: ExistingDatabase,
  refuse: (field: string, value: unknown, hint: string) => never,
): void {
  checkVpc('database.existing.vpc', vpc, refuse);
  if (!INSTANCE_NAME.test(instanceId) || instanceId.length > 63)
    refuse(
      'database.existing.instanceId',
      instanceId,
      'Write the name of the instance as RDS shows it, not its address.',
    );
  if (!Number.isInteger(port) || port < 1150 || port > 65_535)
    refuse('database.existing.port', port, 'Write the port of the instance: RDS has 1150 to 65535.');
  if (!/^sg-[0-9a-z]+$/.test(securityGroupId))
    refuse('database.existing.securityGroupId', securityGroupId, 'Write the id: "sg-…".');
  for (const [field, arn] of Object.entries(secrets)) {
    if (!/^arn:[^:]+:secretsmanager:[^:]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/.test(arn))
      refuse(
        `database.existing.${field}`,
        arn,
        'Write the complete ARN, as `aws secretsmanager describe-secret` prints it.',
      );
    if (arn.includes(':secret:rds!'))
      refuse(
        `database.existing.${field}`,
        arn,
        'RDS manages this secret: nobody else may write it, and RDS deletes it together with the instance. Write a secret of your own (docs/existing-database.md).',
      );
  }
  const { masterSecretArn, databaseUrlSecretArn } = secrets;
  if (masterSecretArn === databaseUrlSecretArn)
    refuse(
      'database.existing.databaseUrlSecretArn',
      databaseUrlSecretArn,
      'That is the master secret: the application has to log in as a role of its own, by a secret of its own.',
    );
  if (placeOf(masterSecretArn) !== placeOf(databaseUrlSecretArn))
    refuse(
      'database.existing.databaseUrlSecretArn',
      databaseUrlSecretArn,
      'Both secrets have to be in the account and Region of the database.',
    );
}

function regionOf(arn: string): string | undefined {
  return arn.split(':')[3];
}

/** Region and account of a secret. */
function placeOf(arn: string): string {
  return arn.split(':').slice(3, 5).join(' ');
}

function checkCi(
  { ci }: EnvironmentSettings,
  refuse: (field: string, value: unknown, hint: string) => never,
): void {
  if (!ci) return;
  const { system, repository, branch, environment } = ci;
  const form = system === 'github' ? /^[\w.-]+(@\d+\/[\w.-]+@\d+|\/[\w.-]+)$/ : /^[\w.-]+(\/[\w.-]+)+$/;
  if (!form.test(repository))
    refuse(
      'ci.repository',
      repository,
      system === 'github'
        ? 'Write owner/name or owner@1234/name@5678, as the tokens of the repository have it (docs/pipeline.md), without patterns.'
        : 'Write the path of the project, group/name, without patterns.',
    );
  for (const [field, name] of Object.entries({ branch, environment }))
    if (name !== undefined && !/^[^*?\s](?:[^*?]*[^*?\s])?$/.test(name))
      refuse(`ci.${field}`, name, 'Write its name, without patterns.');
  if (branch?.startsWith('refs/')) refuse('ci.branch', branch, 'Write the name of the branch alone: main.');
  if (environment === undefined) return;
  if (system === 'gitlab')
    refuse(
      'ci.environment',
      environment,
      'Tokens of GitLab name a branch in their subject, no environment: leave it out.',
    );
  if (branch !== undefined)
    refuse(
      'ci.branch',
      branch,
      'The token of a job with an environment names no branch: leave it out, and say at GitHub which branches may deploy to the environment.',
    );
}

function checkConsumers(
  { recovery }: EnvironmentSettings,
  refuse: (field: string, value: unknown, hint: string) => never,
): void {
  const seen = new Set<string>();
  for (const { cluster, service } of recovery?.consumers ?? []) {
    for (const [field, name] of Object.entries({ cluster, service }))
      if (!/^[A-Za-z0-9_-]{1,255}$/.test(name))
        refuse(
          `recovery.consumers.${field}`,
          name,
          'Write the name, not the ARN, of an ECS cluster and service.',
        );
    const name = `${cluster}/${service}`;
    if (seen.has(name)) refuse('recovery.consumers', name, 'Name each service once.');
    seen.add(name);
  }
}

function checkSchedule(
  { recovery, scheduledSnapshots: schedule }: EnvironmentSettings,
  refuse: (field: string, value: unknown, hint: string) => never,
): void {
  if ((schedule !== null) !== (recovery !== null))
    refuse(
      'scheduledSnapshots',
      schedule,
      'An environment with a recovery machine has a schedule, one without has null.',
    );
  if (schedule === null) return;
  const { hour: _hour, timeZone: _timeZone, ...numbers } = schedule;
  checkTime('scheduledSnapshots', schedule, refuse);
  for (const [field, value] of Object.entries(numbers))
    if (!Number.isInteger(value) || value < 1)
      refuse(`scheduledSnapshots.${field}`, value, 'Write a whole number, 1 or more.');
  if (numbers.weeklyDays < numbers.dailyDays)
    refuse('scheduledSnapshots.weeklyDays', numbers.weeklyDays, 'Write dailyDays or more.');
  if (numbers.newestAtMostHours < 25)
    refuse(
      'scheduledSnapshots.newestAtMostHours',
      numbers.newestAtMostHours,
      'One is taken a day: write 25 or more.',
    );
}

function checkCopies(
  { recovery, copies, database }: EnvironmentSettings,
  refuse: (field: string, value: unknown, hint: string) => never,
): void {
  if (copies === null) return;
  if (!recovery)
    refuse('copies', copies, 'Without a recovery machine there are no snapshots to copy: write null.');
  const { region, kmsKeyId, ...numbers } = copies;
  if (RegionInfo.get(region).partition === undefined)
    refuse(
      'copies.region',
      region,
      'The CDK knows no Region of that name. Write one as AWS does: "eu-west-1". For a newer one update aws-cdk-lib.',
    );
  if ('existing' in database && region === regionOf(database.existing.databaseUrlSecretArn))
    refuse('copies.region', region, 'That is the Region of the database: name another one.');
  if (kmsKeyId !== undefined && !/^(alias\/|arn:[^:]+:kms:)/.test(kmsKeyId))
    refuse('copies.kmsKeyId', kmsKeyId, 'Write the ARN of a key of that Region, or "alias/…".');
  if (kmsKeyId?.startsWith('arn:') && kmsKeyId.split(':')[3] !== region)
    refuse('copies.kmsKeyId', kmsKeyId, `RDS takes only a key of the Region of the copies, ${region}.`);
  checkCopyRetention('copies', numbers, refuse);
}

function checkVault(
  { recovery, vault }: EnvironmentSettings,
  refuse: (field: string, value: unknown, hint: string) => never,
): void {
  if (vault === null) return;
  if (!recovery)
    refuse('vault', vault, 'Without a recovery machine there are no snapshots to copy: write null.');
  const { account, homeAccount, notify, ...numbers } = vault;
  for (const [field, id] of Object.entries({ account, homeAccount }))
    if (!/^\d{12}$/.test(id))
      refuse(`vault.${field}`, id, 'Write the twelve digits of the account, as text.');
  if (account === homeAccount)
    refuse(
      'vault.account',
      account,
      'The vault is there for when the account of the database is lost: name another.',
    );
  for (const address of notify)
    if (!/^[^@\s]+@[^@\s]+$/.test(address)) refuse('vault.notify', address, 'Write mail addresses.');
  checkCopyRetention('vault', numbers, refuse);
}

function checkCopyRetention(
  place: 'copies' | 'vault',
  numbers: Pick<
    SnapshotCopies,
    'preMigrationDays' | 'dailyDays' | 'weeklyDays' | 'keepNewest' | 'newestAtMostHours'
  >,
  refuse: (field: string, value: unknown, hint: string) => never,
): void {
  for (const [field, value] of Object.entries(numbers))
    if (!Number.isInteger(value) || value < 1)
      refuse(`${place}.${field}`, value, 'Write a whole number, 1 or more.');
  if (numbers.weeklyDays < numbers.dailyDays)
    refuse(`${place}.weeklyDays`, numbers.weeklyDays, 'Write dailyDays or more.');
  if (numbers.newestAtMostHours < 27)
    refuse(
      `${place}.newestAtMostHours`,
      numbers.newestAtMostHours,
      'One is made a day, an hour or more after its snapshot: write 27 or more.',
    );
}

function checkDrills(
  { recovery, drills }: EnvironmentSettings,
  refuse: (field: string, value: unknown, hint: string) => never,
): void {
  if (drills === null) return;
  if (!recovery)
    refuse('drills', drills, 'Without a recovery machine there is nothing to rehearse: write null.');
  checkTime('drills', drills, refuse);
  const { dayOfWeek, newestAtMostDays } = drills;
  if (!DAYS_OF_WEEK.includes(dayOfWeek))
    refuse('drills.dayOfWeek', dayOfWeek, `Write one of ${DAYS_OF_WEEK.join(', ')}.`);
  if (!Number.isInteger(newestAtMostDays) || newestAtMostDays < 8)
    refuse(
      'drills.newestAtMostDays',
      newestAtMostDays,
      'There is one a week: write a whole number, 8 or more.',
    );
}

function checkTime(
  field: string,
  { hour, timeZone }: { readonly hour: number; readonly timeZone: string },
  refuse: (field: string, value: unknown, hint: string) => never,
): void {
  if (!Number.isInteger(hour) || hour < 0 || hour > 23)
    refuse(`${field}.hour`, hour, 'Write a whole number from 0 to 23.');
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch {
    refuse(`${field}.timeZone`, timeZone, 'Write a name such as "Europe/Berlin" or "UTC".');
  }
}

function checkVpc(
  place: string,
  { vpcId, subnetIds, availabilityZones }: ExistingVpc,
  refuse: (field: string, value: unknown, hint: string) => never,
): void {
  if (!/^vpc-[0-9a-z]+$/.test(vpcId)) refuse(`${place}.vpcId`, vpcId, 'Write the id: "vpc-…".');
  if (subnetIds.length === 0 || subnetIds.length !== availabilityZones.length)
    refuse(
      `${place}.subnetIds`,
      subnetIds,
      `Name at least one subnet, and one Availability Zone for each (got ${JSON.stringify(availabilityZones)}).`,
    );
  for (const id of subnetIds)
    if (!/^subnet-[0-9a-z]+$/.test(id)) refuse(`${place}.subnetIds`, id, 'Write ids: "subnet-…".');
}
