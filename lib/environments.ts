import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { InstancePrice } from '../lambdas/contract/rules';
import type { EnvironmentName } from '../lambdas/contract/settings';
import type { CiRepository } from './ci-role';
import { checkEachItsOwn } from './settings-check';

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
  readonly dayOfWeek: 'MON' | 'TUE' | 'WED' | 'THU' | 'FRI' | 'SAT' | 'SUN';
  /** Hour of that day, 0 to 23: after the snapshot of the day. */
  readonly hour: number;
  /** Of that hour, as the IANA data base names it. */
  readonly timeZone: string;
  /** People are told when no drill and no recovery has succeeded for so many days. */
  readonly newestAtMostDays: number;
}

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

/** The instance that the stack makes, or has adopted. */
export function instanceIdentifierOf(environment: EnvironmentName, database: DatabaseSettings): string {
  return database.instanceIdentifier ?? `${environment}-database`;
}
