import * as rds from '@aws-sdk/client-rds';
import type { DBInstance } from '@aws-sdk/client-rds';
import { NOT_SETTINGS, compareSettings, settingsToModify } from '../../lambdas/instance-settings';

/** Of both parts. */
const changes = (live: DBInstance, recovery: DBInstance, asked: 'not long' | 'long enough' = 'not long') => ({
  ...settingsToModify(live, recovery, 'to serve', asked).changes,
  ...settingsToModify(live, recovery, 'the rest', asked).changes,
});

test('the role of monitoring that is switched off is not asked for: RDS would not take it', () => {
  const live = { MonitoringInterval: 0, MonitoringRoleArn: 'arn:aws:iam::123456789012:role/monitoring' };
  expect(changes(live, { MonitoringInterval: 0 })).toEqual({});
});

test('what RDS does not take is asked for again only for a while, and then reported', () => {
  const live = { PreferredMaintenanceWindow: 'sun:03:00-sun:03:30' };
  const recovery = { PreferredMaintenanceWindow: 'sun:03:00-sun:04:00' };
  expect(changes(live, recovery)).toEqual(live);
  expect(changes(live, recovery, 'long enough')).toEqual({});
  expect(compareSettings(live, recovery, 'all').filter(({ equal }) => !equal)).toEqual([
    {
      name: 'PreferredMaintenanceWindow',
      live: 'sun:03:00-sun:03:30',
      recovery: 'sun:03:00-sun:04:00',
      equal: false,
      note: 'RDS did not take the value of the live instance; set it by hand',
    },
  ]);
});

test('what keeps the database safe is asked for however long it takes', () => {
  const live: DBInstance = {
    DeletionProtection: true,
    PubliclyAccessible: false,
    VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-1', Status: 'active' }],
    BackupRetentionPeriod: 30,
  };
  const recovery: DBInstance = {
    DeletionProtection: false,
    PubliclyAccessible: true,
    VpcSecurityGroups: [{ VpcSecurityGroupId: 'sg-2', Status: 'active' }],
    BackupRetentionPeriod: 1,
  };
  expect(changes(live, recovery, 'long enough')).toEqual({
    DeletionProtection: true,
    PubliclyAccessible: false,
    VpcSecurityGroupIds: ['sg-1'],
    BackupRetentionPeriod: 30,
  });
});

test('before the cutover only what serving needs is asked for, and after it nothing that interrupts the application', () => {
  const live: DBInstance = {
    DBInstanceClass: 'db.r8g.large',
    DeletionProtection: true,
    MaxAllocatedStorage: 500,
    PreferredMaintenanceWindow: 'sun:03:00-sun:03:30',
    MonitoringInterval: 60,
    MonitoringRoleArn: 'arn:aws:iam::123456789012:role/monitoring',
    PerformanceInsightsEnabled: true,
  };
  const recovery: DBInstance = { DBInstanceClass: 'db.r8g.xlarge', AllocatedStorage: 100 };
  expect(settingsToModify(live, recovery, 'to serve', 'not long').changes).toEqual({
    DBInstanceClass: 'db.r8g.large',
  });
  expect(settingsToModify(live, recovery, 'the rest', 'not long').changes).toMatchObject({
    DeletionProtection: true,
    MaxAllocatedStorage: 500,
    PreferredMaintenanceWindow: 'sun:03:00-sun:03:30',
    MonitoringInterval: 60,
    EnablePerformanceInsights: true,
  });
  expect(settingsToModify(live, recovery, 'the rest', 'not long').changes).not.toHaveProperty(
    'DBInstanceClass',
  );
  const noteOf = (done: 'to serve' | 'all', wanted: string): string | undefined =>
    compareSettings(live, recovery, done).find(({ name }) => name === wanted)?.note;
  expect(noteOf('to serve', 'DeletionProtection')).toBe('set after the cutover');
  expect(noteOf('all', 'DeletionProtection')).toContain('RDS did not take the value');
  // It interrupts the application: nobody asks RDS for it after the cutover.
  expect(noteOf('to serve', 'DBInstanceClass')).toBeUndefined();
  expect(noteOf('all', 'DBInstanceClass')).toMatch(/was changed meanwhile.* set it by hand$/);
});

test('whatever RDS says of an instance is compared, or there is a reason why not: also what AWS adds', () => {
  const [, , , , ...[members]] = rds.DBInstance$;
  const compared = new Set<string>();
  const seen = (instance: DBInstance): DBInstance =>
    new Proxy(instance, {
      get: (target, member) => {
        compared.add(String(member));
        return Reflect.get(target, member) as unknown;
      },
    });
  // Some are looked at only where others are there.
  compareSettings(seen({ MonitoringInterval: 60 }), seen({}), 'all');
  expect(members.length).toBeGreaterThan(90);
  expect(members.map(String).sort()).toEqual([...compared, ...Object.keys(NOT_SETTINGS)].sort());
});

test('what no restore takes is told, to be made by hand, and stops no recovery', () => {
  const live: DBInstance = {
    AssociatedRoles: [
      { FeatureName: 's3Import', RoleArn: 'arn:aws:iam::123456789012:role/import', Status: 'ACTIVE' },
    ],
    ReadReplicaDBInstanceIdentifiers: ['reports'],
  };
  const differing = compareSettings(live, {}, 'to serve').filter(({ equal }) => !equal);
  expect(differing.map(({ name, note }) => [name, note?.includes('by hand')])).toEqual([
    ['AssociatedRoles', true],
    ['ReadReplicaDBInstanceIdentifiers', true],
  ]);
  expect(changes(live, {})).toEqual({});
});
