import { RegionInfo } from 'aws-cdk-lib/region-info';
import type {
  DatabaseSettings,
  EnvironmentSettings,
  ExistingDatabase,
  ExistingVpc,
  SnapshotCopies,
} from './environments';
import { checkShape, isWhole } from './settings-shape';

/** Throws, and says the value found and what to write instead. */
type Refuse = (field: string, value: unknown, hint: string) => never;

const INSTANCE_NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/** Each of two environments with one database would recover, thin and lock out what is the other's. */
export function checkEachItsOwn(table: Readonly<Record<string, EnvironmentSettings>>): void {
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

/**
 * Finds what CloudFormation would refuse half an hour later, or accept and be wrong about.
 * @throws Error that says the value found and what to write instead
 */
export function checkSettings(settings: EnvironmentSettings): void {
  checkShape(settings);
  const { automatedBackupDays, preMigrationSnapshotDays, database, vpc } = settings;
  const refuse: Refuse = (field, value, hint) => {
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
  checkMade(database, refuse);
}

function checkMade(database: DatabaseSettings, refuse: Refuse): void {
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
  refuse: Refuse,
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

function checkCi({ ci }: EnvironmentSettings, refuse: Refuse): void {
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

function checkConsumers({ recovery }: EnvironmentSettings, refuse: Refuse): void {
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
  refuse: Refuse,
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

function checkCopies({ recovery, copies, database }: EnvironmentSettings, refuse: Refuse): void {
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

function checkVault({ recovery, vault }: EnvironmentSettings, refuse: Refuse): void {
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
  refuse: Refuse,
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

function checkDrills({ recovery, drills }: EnvironmentSettings, refuse: Refuse): void {
  if (drills === null) return;
  if (!recovery)
    refuse('drills', drills, 'Without a recovery machine there is nothing to rehearse: write null.');
  checkTime('drills', drills, refuse);
  const { newestAtMostDays } = drills;
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
  refuse: Refuse,
): void {
  if (!Number.isInteger(hour) || hour < 0 || hour > 23)
    refuse(`${field}.hour`, hour, 'Write a whole number from 0 to 23.');
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch {
    refuse(`${field}.timeZone`, timeZone, 'Write a name such as "Europe/Berlin" or "UTC".');
  }
}

function checkVpc(place: string, { vpcId, subnetIds, availabilityZones }: ExistingVpc, refuse: Refuse): void {
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
