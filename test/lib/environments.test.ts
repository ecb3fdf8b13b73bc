import {
  checkSettings,
  type DatabaseSettings,
  ENVIRONMENTS,
  type EnvironmentSettings,
  selectEnvironments,
} from '../../lib/environments';

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
  host: 'shop.example',
  port: 5432,
  securityGroupId: 'sg-1',
  masterSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:master-AbCdEf',
  databaseUrlSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:url-AbCdEf',
};

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

function withDatabase(change: Partial<DatabaseSettings>): EnvironmentSettings {
  const { database } = production;
  if ('existing' in database) throw new Error('The table makes the database of production.');
  return { ...production, database: { ...database, ...change } };
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

const withConsumers = (
  ...consumers: readonly { cluster: string; service: string }[]
): EnvironmentSettings => ({
  ...production,
  recovery: { approveCutover: false, approveRetirement: true, consumers },
});

const RECOVERY = { approveCutover: false, approveRetirement: true, consumers: [] };

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

  test('refuses a name that the table does not have, and anything that is no text', () => {
    expect(() => selectEnvironments('produktion')).toThrow(/"produktion".*production, staging, development/);
    expect(() => selectEnvironments(['production'])).toThrow(/\["production"\]/);
  });
});
