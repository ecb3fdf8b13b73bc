import {
  type DatabaseSettings,
  ENVIRONMENTS,
  type EnvironmentSettings,
  type ExistingDatabase,
  selectEnvironments,
} from '../../lib/environments';
import { checkSettings } from '../../lib/settings-check';

const { production } = ENVIRONMENTS;
const VPC = {
  vpcId: 'vpc-1',
  availabilityZones: ['a', 'b'],
  subnetIds: ['subnet-1', 'subnet-2'],
  reachesSecretsManager: true,
};
const EXISTING = {
  vpc: VPC,
  instanceId: 'shop',
  port: 5432,
  securityGroupId: 'sg-1',
  masterSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:master-AbCdEf',
  databaseUrlSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:url-AbCdEf',
};

const RECOVERY = { approveCutover: false, approveRetirement: true, consumers: [] };

const COPIES = {
  region: 'eu-west-1',
  preMigrationDays: 30,
  dailyDays: 3,
  weeklyDays: 30,
  keepNewest: 1,
  newestAtMostHours: 48,
};

const VAULT = {
  account: '222222222222',
  homeAccount: '123456789012',
  preMigrationDays: 30,
  dailyDays: 3,
  weeklyDays: 30,
  keepNewest: 1,
  newestAtMostHours: 48,
  notify: ['safe@example.com'],
};

const madeDatabase = ((): DatabaseSettings => {
  const { database } = production;
  if ('existing' in database) throw new Error('The table makes the database of production.');
  return database;
})();

function withDatabase(change: Partial<DatabaseSettings>): EnvironmentSettings {
  return { ...production, database: { ...madeDatabase, ...change } };
}

function withExisting(change: Partial<ExistingDatabase>): EnvironmentSettings {
  return { ...production, database: { existing: { ...EXISTING, ...change } } };
}

test('the table itself is in order', () => {
  for (const settings of Object.values(ENVIRONMENTS))
    expect(() => {
      checkSettings(settings);
    }).not.toThrow();
});

test('settings of an existing database are accepted', () => {
  expect(() => {
    checkSettings({ ...production, database: { existing: EXISTING } });
  }).not.toThrow();
});

test('every member that can be left out is accepted', () => {
  expect(() => {
    checkSettings({
      ...production,
      copies: { ...COPIES, kmsKeyId: 'alias/copies' },
      vault: VAULT,
      ci: { system: 'gitlab', repository: 'shop/backend', branch: 'release' },
      recovery: { ...RECOVERY, soakMinutes: 10, soakAlarms: ['orders-failing'] },
      vpc: VPC,
      database: { ...madeDatabase, instanceIdentifier: 'production-database-rec-0123456789' },
    });
  }).not.toThrow();
});

const withConsumers = (
  ...consumers: readonly { cluster: string; service: string }[]
): EnvironmentSettings => ({
  ...production,
  recovery: { approveCutover: false, approveRetirement: true, consumers },
});

test.each<[string, EnvironmentSettings, string[]]>([
  [
    '36 days of backups',
    { ...production, automatedBackupDays: 36 },
    ['automatedBackupDays is 36', '0 to 35'],
  ],
  ['half a day', { ...production, automatedBackupDays: 0.5 }, ['automatedBackupDays is 0.5', 'whole days']],
  ['negative days', { ...production, preMigrationSnapshotDays: -1 }, ['preMigrationSnapshotDays is -1']],
  [
    'a recovery without snapshots',
    { ...production, preMigrationSnapshotDays: 0 },
    ['preMigrationSnapshotDays is 0', 'set recovery to null'],
  ],
  [
    'an instance with a name that RDS does not give',
    withDatabase({ instanceIdentifier: 'production_database' }),
    ['database.instanceIdentifier is "production_database"', 'as RDS shows it'],
  ],
  [
    'copies in the Region of nowhere',
    { ...production, copies: { ...COPIES, region: 'Ireland' } },
    ['copies.region is "Ireland"', 'eu-west-1'],
  ],
  [
    'copies in a Region that there is not',
    { ...production, copies: { ...COPIES, region: 'eu-nowhere-9' } },
    ['copies.region is "eu-nowhere-9"', 'no Region of that name'],
  ],
  [
    'copies in the Region of the database itself',
    { ...withExisting({}), copies: { ...COPIES, region: 'eu-central-1' } },
    ['copies.region is "eu-central-1"', 'name another one'],
  ],
  [
    'copies under a key of another Region',
    {
      ...production,
      copies: { ...COPIES, kmsKeyId: 'arn:aws:kms:eu-central-1:123456789012:key/1' },
    },
    ['copies.kmsKeyId', 'eu-west-1'],
  ],
  [
    'copies kept for no day',
    { ...production, copies: { ...COPIES, preMigrationDays: 0 } },
    ['copies.preMigrationDays is 0'],
  ],
  [
    'copies without snapshots',
    { ...production, recovery: null, scheduledSnapshots: null, drills: null, copies: COPIES },
    ['copies is', 'write null'],
  ],
  [
    'a vault in no account',
    { ...production, vault: { ...VAULT, account: '22222222222' } },
    ['vault.account is "22222222222"', 'twelve digits'],
  ],
  [
    'a vault in the account that it protects from',
    { ...production, vault: { ...VAULT, homeAccount: VAULT.account } },
    ['vault.account is "222222222222"', 'name another'],
  ],
  [
    'a vault that keeps nothing',
    { ...production, vault: { ...VAULT, keepNewest: 0 } },
    ['vault.keepNewest is 0', '1 or more'],
  ],
  [
    'a vault that is behind by its nature',
    { ...production, vault: { ...VAULT, newestAtMostHours: 24 } },
    ['vault.newestAtMostHours is 24', '27 or more'],
  ],
  [
    'a vault that tells nobody',
    { ...production, vault: { ...VAULT, notify: ['nobody'] } },
    ['vault.notify is "nobody"', 'mail addresses'],
  ],
  [
    'a vault without snapshots',
    { ...production, recovery: null, scheduledSnapshots: null, drills: null, vault: VAULT },
    ['vault is', 'write null'],
  ],
  [
    'a mail address that is none',
    { ...production, notify: ['nobody'] },
    ['notify is "nobody"', 'mail addresses'],
  ],
  [
    'storage that cannot grow',
    withDatabase({ maxAllocatedStorageGiB: 100 }),
    ['maxAllocatedStorageGiB is 100', '10 %'],
  ],
  [
    'a role with a hyphen',
    withDatabase({ applicationRole: 'my-app' }),
    ['applicationRole is "my-app"', 'underscores'],
  ],
  [
    'a VPC without subnets',
    { ...production, vpc: { ...VPC, subnetIds: [] } },
    ['vpc.subnetIds is []', 'at least one'],
  ],
  [
    'a zone too few',
    { ...production, vpc: { ...VPC, availabilityZones: ['a'] } },
    ['["subnet-1","subnet-2"]', '["a"]'],
  ],
  [
    'a secret without its random characters',
    {
      ...production,
      database: {
        existing: {
          ...EXISTING,
          databaseUrlSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:url',
        },
      },
    },
    ['databaseUrlSecretArn is "arn:', 'complete ARN'],
  ],
  [
    "drills that are nobody's",
    { ...production, recovery: null, scheduledSnapshots: null },
    ['drills is {', 'write null'],
  ],
  [
    'drills that would always be too old',
    { ...production, drills: { dayOfWeek: 'SUN', hour: 5, timeZone: 'UTC', newestAtMostDays: 7 } },
    ['drills.newestAtMostDays is 7', '8 or more'],
  ],
  [
    'a drill at no time of the day',
    { ...production, drills: { dayOfWeek: 'SUN', hour: 24, timeZone: 'UTC', newestAtMostDays: 8 } },
    ['drills.hour is 24', '0 to 23'],
  ],
  [
    'a drill in a zone that is none',
    { ...production, drills: { dayOfWeek: 'SUN', hour: 5, timeZone: 'Middle-earth', newestAtMostDays: 8 } },
    ['drills.timeZone is "Middle-earth"', 'Europe/Berlin'],
  ],
  [
    'a consumer by its ARN',
    withConsumers({ cluster: 'shop', service: 'arn:aws:ecs:eu-central-1:123456789012:service/shop/web' }),
    ['recovery.consumers.service is "arn:aws:ecs:', 'not the ARN'],
  ],
  [
    'a consumer without a cluster',
    withConsumers({ cluster: '', service: 'web' }),
    ['recovery.consumers.cluster is ""', 'Write the name'],
  ],
  [
    'a consumer that is there twice',
    withConsumers({ cluster: 'shop', service: 'web' }, { cluster: 'shop', service: 'web' }),
    ['recovery.consumers is "shop/web"', 'once'],
  ],
  [
    'a soak that is no number of minutes',
    { ...production, recovery: { ...RECOVERY, soakMinutes: 1441 } },
    ['recovery.soakMinutes is 1441', '0 to 1440'],
  ],
  [
    'an alarm by its ARN',
    { ...production, recovery: { ...RECOVERY, soakAlarms: ['arn:aws:cloudwatch:x'] } },
    ['recovery.soakAlarms is ["arn:', 'names, not the ARNs'],
  ],
  [
    'a recovery without automated backups',
    { ...production, automatedBackupDays: 0 },
    ['automatedBackupDays is 0', 'set recovery to null'],
  ],
  ['a stack with an underscore', { ...production, stackPrefix: 'Prod_1' }, ['stackPrefix is "Prod_1"']],
  [
    'a class instead of a size',
    withDatabase({ instanceType: 'db.t4g.medium' }),
    ['database.instanceType is "db.t4g.medium"', 'without "db."'],
  ],
  [
    'storage that RDS does not have',
    withDatabase({ allocatedStorageGiB: 5 }),
    ['database.allocatedStorageGiB is 5', '20 to 65,536'],
  ],
  [
    'the master user as the application',
    withDatabase({ applicationRole: 'postgres' }),
    ['database.applicationRole is "postgres"', 'taken'],
  ],
  [
    'a master secret that RDS manages',
    withExisting({
      masterSecretArn:
        'arn:aws:secretsmanager:eu-central-1:123456789012:secret:rds!db-01234567-89ab-cdef-0123-456789abcdef-AbCdEf',
    }),
    ['database.existing.masterSecretArn is "arn:', 'RDS manages this secret', 'docs/existing-database.md'],
  ],
  [
    'one secret for both',
    withExisting({ databaseUrlSecretArn: EXISTING.masterSecretArn }),
    ['database.existing.databaseUrlSecretArn is "arn:', 'a role of its own'],
  ],
  [
    'a secret of another account',
    withExisting({
      databaseUrlSecretArn: 'arn:aws:secretsmanager:eu-central-1:999999999999:secret:url-AbCdEf',
    }),
    ['database.existing.databaseUrlSecretArn is "arn:', 'account and Region'],
  ],
  [
    'an address for a name',
    withExisting({ instanceId: 'shop.abc.eu-central-1.rds.amazonaws.com' }),
    ['database.existing.instanceId is "shop.abc', 'not its address'],
  ],
  ['a port of nothing', withExisting({ port: 0 }), ['database.existing.port is 0', '1150 to 65535']],
  [
    'a security group by its name',
    withExisting({ securityGroupId: 'shop' }),
    ['database.existing.securityGroupId is "shop"', '"sg-…"'],
  ],
  [
    'a VPC by its name',
    withExisting({ vpc: { ...VPC, vpcId: 'main' } }),
    ['database.existing.vpc.vpcId is "main"', '"vpc-…"'],
  ],
  [
    'subnets by their names',
    { ...production, vpc: { ...VPC, subnetIds: ['a', 'b'] } },
    ['vpc.subnetIds is "a"', '"subnet-…"'],
  ],
  [
    'two VPCs',
    { ...production, vpc: VPC, database: { existing: EXISTING } },
    ['vpc is "vpc-1"', 'database.existing'],
  ],
])('%s is refused with the value and what to do', (_, settings, texts) => {
  for (const text of ['production', ...texts])
    expect(() => {
      checkSettings(settings);
    }).toThrow(text);
});

/** As a person writes the table: `cdk` runs it without a compiler. */
describe('a table that no compiler has seen', () => {
  const { automatedBackupDays: _, ...withoutBackups } = production;
  const { existing } = { existing: EXISTING };
  test.each<[string, object, string]>([
    [
      'text for a number',
      { ...production, automatedBackupDays: '30' },
      'automatedBackupDays is "30". Write a number, without quotes.',
    ],
    ['no number at all', { ...production, automatedBackupDays: NaN }, 'automatedBackupDays is '],
    ['a member too few', withoutBackups, 'automatedBackupDays is missing. Write a number'],
    [
      'a letter wrong',
      { ...production, recovery: { ...RECOVERY, aproveCutover: true } },
      'recovery.aproveCutover is no setting.',
    ],
    [
      'an approval too few',
      { ...production, recovery: { approveCutover: false, consumers: [] } },
      'recovery.approveRetirement is missing. Write true or false',
    ],
    ['nothing where null means none', { ...production, copies: undefined }, 'copies is missing.'],
    [
      'a day of no week',
      { ...production, drills: { ...production.drills, dayOfWeek: 'Sun' } },
      'drills.dayOfWeek is "Sun". Write one of MON,',
    ],
    [
      'another CI system',
      { ...production, ci: { system: 'bitbucket', repository: 'a/b' } },
      'ci.system is "bitbucket". Write one of github, gitlab.',
    ],
    ['another number of days', { ...production, logDays: 33 }, 'logDays is 33. Write one of 1, 3,'],
    [
      'one address instead of a list',
      { ...production, notify: 'ada@example.com' },
      'notify is "ada@example.com". Write a list',
    ],
    ['no database', { ...production, database: null }, 'database is null.'],
    ['a database of nothing', { ...production, database: {} }, 'database.instanceType is missing.'],
    [
      'an existing one of nothing',
      { ...production, database: { existing: {} } },
      'database.existing.vpc is missing.',
    ],
    [
      'an existing one that is half made',
      { ...production, database: { existing, multiAz: true } },
      'database.multiAz is no setting.',
    ],
    [
      'another name',
      { ...production, name: 'prod' },
      'name is "prod". Write one of production, staging, development.',
    ],
  ])('%s is refused in a sentence', (_what, settings, text) => {
    expect(() => {
      // What the compiler would refuse arrives as if it had not been asked.
      checkSettings(JSON.parse(JSON.stringify(settings)) as EnvironmentSettings);
    }).toThrow(text);
  });
});

describe('the context key "environments"', () => {
  test('left out, makes all', () => {
    expect(selectEnvironments(undefined).map(({ name }) => name)).toEqual([
      'production',
      'staging',
      'development',
    ]);
  });

  test('names those to make', () => {
    expect(selectEnvironments('production, staging').map(({ name }) => name)).toEqual([
      'production',
      'staging',
    ]);
  });

  test('names each once, however often it is written', () => {
    expect(selectEnvironments('staging,staging').map(({ name }) => name)).toEqual(['staging']);
  });

  test('refuses an entry that has the name of another: two of a name would be one', () => {
    const table = { production, staging: { ...ENVIRONMENTS.staging, name: 'production' as const } };
    expect(() => selectEnvironments(undefined, table)).toThrow('staging: name is "production".');
  });

  test.each<[string, EnvironmentSettings, string]>([
    [
      'prefix of stacks',
      { ...ENVIRONMENTS.staging, stackPrefix: 'Production' },
      'stackPrefix is "Production"',
    ],
    [
      'instance',
      {
        ...withExisting({
          masterSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:other-AbCdEf',
          databaseUrlSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:other-GhIjKl',
        }),
        stackPrefix: 'Staging',
      },
      'database.existing.instanceId is "shop"',
    ],
    [
      'secret',
      { ...withExisting({ instanceId: 'other' }), stackPrefix: 'Staging' },
      'database.existing.masterSecretArn is "arn:',
    ],
  ])('refuses two environments with one %s, also where only one of them is made', (_what, other, text) => {
    const table = { production: withExisting({}), staging: { ...other, name: 'staging' as const } };
    for (const context of [undefined, 'production'])
      expect(() => selectEnvironments(context, table)).toThrow(
        new RegExp(`^staging: ${text}.*, which production has already\\.`),
      );
  });

  test('accepts instances of one name in two accounts, and an entry that is not whole and not made', () => {
    const elsewhere = withExisting({
      masterSecretArn: 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:master-AbCdEf',
      databaseUrlSecretArn: 'arn:aws:secretsmanager:eu-central-1:222222222222:secret:url-AbCdEf',
    });
    const staging = { ...elsewhere, name: 'staging' as const, stackPrefix: 'Staging' };
    const begun = JSON.parse('{"name":"development"}') as EnvironmentSettings;
    expect(
      selectEnvironments('production,staging', { production: withExisting({}), staging, development: begun }),
    ).toHaveLength(2);
  });

  test('refuses a name that the table does not have, and anything that is no text', () => {
    expect(() => selectEnvironments('produktion')).toThrow(/"produktion".*production, staging, development/);
    expect(() => selectEnvironments('toString')).toThrow(/"toString"/);
    expect(() => selectEnvironments(['production'])).toThrow(/\["production"\]/);
  });
});
