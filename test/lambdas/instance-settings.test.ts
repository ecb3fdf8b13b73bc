import type { DBInstance } from '@aws-sdk/client-rds';
import { compareSettings, settingsToModify } from '../../lambdas/instance-settings';

const changes = (live: DBInstance, recovery: DBInstance, asked: 'not long' | 'long enough' = 'not long') =>
  settingsToModify(live, recovery, asked).changes;

test('the role of monitoring that is switched off is not asked for: RDS would not take it', () => {
  const live = { MonitoringInterval: 0, MonitoringRoleArn: 'arn:aws:iam::123456789012:role/monitoring' };
  expect(changes(live, { MonitoringInterval: 0 })).toEqual({});
});

test('what RDS does not take is asked for again only for a while, and then reported', () => {
  const live = { PreferredMaintenanceWindow: 'sun:03:00-sun:03:30' };
  const recovery = { PreferredMaintenanceWindow: 'sun:03:00-sun:04:00' };
  expect(changes(live, recovery)).toEqual(live);
  expect(changes(live, recovery, 'long enough')).toEqual({});
  expect(compareSettings(live, recovery).filter(({ equal }) => !equal)).toEqual([
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
