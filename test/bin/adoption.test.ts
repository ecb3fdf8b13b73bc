import type { DBInstance } from '@aws-sdk/client-rds';
import {
  adoptionSteps,
  comparedTable,
  compareWithLive,
  inTheWay,
  ownedInstance,
  type ComparedProperty,
} from '../../bin/adoption';
import { ENVIRONMENTS } from '../../lib/environments';
import { synthesise, templateOf } from '../lib/synthesis';

const ID = 'production-database-rec-0123456789';
const { production } = ENVIRONMENTS;
if ('existing' in production.database) throw new Error('The table makes the database of production.');
const templates = synthesise([
  { ...production, database: { ...production.database, instanceIdentifier: ID } },
]);
const owned = ownedInstance('Production-Database', templateOf(templates, 'Production-Database'));

const LIVE: DBInstance = {
  DBInstanceIdentifier: ID,
  AllocatedStorage: 100,
  AutoMinorVersionUpgrade: false,
  BackupRetentionPeriod: 30,
  CopyTagsToSnapshot: true,
  DBInstanceClass: 'db.t4g.medium',
  DBName: 'app',
  DBParameterGroups: [
    {
      DBParameterGroupName: 'production-database-parameters6795e5b4-a1b2c3',
      ParameterApplyStatus: 'in-sync',
    },
  ],
  DBSubnetGroup: { DBSubnetGroupName: 'production-database-databasesubnetgroup7d60f180-a1b2c3' },
  DeletionProtection: true,
  EnabledCloudwatchLogsExports: ['upgrade', 'postgresql'],
  Engine: 'postgres',
  EngineVersion: '17.9',
  MasterUsername: 'postgres',
  MaxAllocatedStorage: 500,
  MultiAZ: true,
  PubliclyAccessible: false,
  StorageEncrypted: true,
  StorageType: 'gp3',
  VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-0a1b', Status: 'active' }],
};

const verdicts = (compared: readonly ComparedProperty[]): Record<string, string> =>
  Object.fromEntries(
    compared.filter(({ verdict }) => verdict !== 'equal').map(({ name, verdict }) => [name, verdict]),
  );
const NOT_TOLD = {
  DeleteAutomatedBackups: 'not told',
  MasterUserPassword: 'not told',
  VPCSecurityGroups: 'not told',
};

test('knows every property of the template, and finds them equal to those of an instance that has them', () => {
  const compared = compareWithLive(owned, LIVE);
  expect(verdicts(compared)).toEqual(NOT_TOLD);
  expect(comparedTable(compared).join('\n')).not.toContain('Not known here');
  expect(comparedTable(compared)[0]).toMatch(/^19 of 22 properties/);
});

test.each<[string, Partial<DBInstance>, Record<string, string>]>([
  ['a setting', { MultiAZ: false }, { MultiAZ: 'set' }],
  ['a setting that is off', { EnabledCloudwatchLogsExports: [] }, { EnableCloudwatchLogsExports: 'set' }],
  ['storage that grew', { AllocatedStorage: 200 }, { AllocatedStorage: 'refused' }],
  ['storage that is smaller', { AllocatedStorage: 50 }, { AllocatedStorage: 'set' }],
  ['a newer version', { EngineVersion: '17.10' }, { EngineVersion: 'refused' }],
  ['an older version', { EngineVersion: '17.8' }, { EngineVersion: 'set' }],
  ['another database', { DBName: 'other' }, { DBName: 'replaced' }],
  ['no encryption', { StorageEncrypted: false }, { StorageEncrypted: 'replaced' }],
  [
    'the network of others',
    { DBSubnetGroup: { DBSubnetGroupName: 'default' } },
    { DBSubnetGroupName: 'replaced' },
  ],
  [
    'the parameters of others',
    { DBParameterGroups: [{ DBParameterGroupName: 'default.postgres17' }] },
    { DBParameterGroupName: 'set' },
  ],
])('says what becomes of %s', (_, change, expected) => {
  const compared = compareWithLive(owned, { ...LIVE, ...change });
  expect(verdicts(compared)).toEqual({ ...NOT_TOLD, ...expected });
  const [name = ''] = Object.keys(expected);
  expect(comparedTable(compared).find((line) => line.trim().startsWith(`${name} `))).toContain(
    expected[name],
  );
});

test('a property that nobody taught it is not passed over', () => {
  const more = { ...owned, properties: { ...owned.properties, Timezone: 'UTC' } };
  expect(comparedTable(compareWithLive(more, LIVE)).join('\n')).toMatch(
    /Timezone is not compared\. Not known here: compare it by hand/,
  );
});

test('no secret is named in what it prints, not even by its reference', () => {
  const printed = comparedTable(compareWithLive(owned, { ...LIVE, MultiAZ: false })).join('\n');
  expect(printed).not.toMatch(/resolve:|MasterSecret/);
});

test('the steps name both instances, the line to write and what is set', () => {
  const compared = compareWithLive(owned, { ...LIVE, MultiAZ: false });
  const steps = adoptionSteps(
    {
      environment: 'production',
      stackName: 'Production-Database',
      rollbackStackName: 'Production-Rollback',
      instanceId: ID,
      ownedId: 'production-database',
      keeps: true,
    },
    compared,
  ).join('\n');
  for (const text of [
    'adopting sets MultiAZ on the live instance',
    `instanceIdentifier: '${ID}',`,
    'npx cdk deploy Production-Database --import-existing-resources',
    'npx cdk drift Production-Database',
    'npm run adopt -- --env production',
  ])
    expect(steps).toContain(text);
});

describe('what is in the way', () => {
  const settled = { ...LIVE, DBInstanceStatus: 'available', PendingModifiedValues: {} };
  const quiet = {
    live: settled,
    ownedId: 'production-database',
    owned: undefined,
    runningRecovery: undefined,
  };

  test('nothing, once all is quiet', () => {
    expect(inTheWay(quiet)).toBeUndefined();
  });

  test.each<[string, Partial<Parameters<typeof inTheWay>[0]>, RegExp]>([
    ['a recovery', { runningRecovery: 'friday' }, /^The recovery friday is running\. Wait/],
    [
      'the instance before',
      { owned: { DBInstanceStatus: 'available' } },
      /^production-database, which the stack owns, is still there \(available\): one can go back/,
    ],
    [
      'a first backup',
      { live: { ...settled, DBInstanceStatus: 'backing-up' } },
      /-rec-0123456789 is backing-up\. .* wait/,
    ],
    [
      'a change that is pending',
      { live: { ...settled, PendingModifiedValues: { DBInstanceClass: 'db.t4g.large' } } },
      /changes pending: DBInstanceClass\./,
    ],
    [
      'parameters that wait for a restart',
      {
        live: {
          ...settled,
          DBParameterGroups: [{ DBParameterGroupName: 'ours', ParameterApplyStatus: 'pending-reboot' }],
        },
      },
      /^The parameter group ours of .* is pending-reboot\. CloudFormation restarts/,
    ],
  ])('%s', (_, change, expected) => {
    expect(inTheWay({ ...quiet, ...change })).toMatch(expected);
  });
});

test('a template without an instance is refused', () => {
  expect(() => ownedInstance('Production-Rollback', templateOf(templates, 'Production-Rollback'))).toThrow(
    'The template of Production-Rollback has no instance.',
  );
});
