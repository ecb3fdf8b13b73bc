import type { Account } from '../core/account';
import type { InstanceSettings } from './state';

/** What RDS gives an instance that asks for nothing. A restore that asks for nothing gets these too, not the source's. */

export const DEFAULT_SUBNET_GROUP = 'default';
export const DEFAULT_CA = 'rds-ca-rsa2048-g1';
const DEFAULT_PORT = 5432;

export const MOST_INSTANCES = 40;
export const MOST_MANUAL_SNAPSHOTS = 100;
/** That are under way into one Region at a time. */
export const MOST_COPIES_FROM_ELSEWHERE = 20;

/** The AWS managed key of the Region. */
export const defaultKey = ({ partition, region, accountId }: Account): string =>
  `arn:${partition}:kms:${region}:${accountId}:key/aws-rds`;

export const defaultParameterGroup = (major: string): string => `default.postgres${major}`;
export const defaultOptionGroup = (major: string): string => `default:postgres-${major}`;

export function defaultSettings(
  region: string,
  major: string,
): Omit<InstanceSettings, 'securityGroupIds' | 'publiclyAccessible'> {
  return {
    instanceClass: 'db.t4g.micro',
    allocatedStorage: 20,
    storageType: 'gp2',
    dedicatedLogVolume: false,
    port: DEFAULT_PORT,
    multiAz: false,
    availabilityZone: `${region}a`,
    networkType: 'IPV4',
    subnetGroupName: DEFAULT_SUBNET_GROUP,
    parameterGroupName: defaultParameterGroup(major),
    optionGroupName: defaultOptionGroup(major),
    licenseModel: 'postgresql-license',
    backupRetentionPeriod: 1,
    preferredBackupWindow: '22:00-22:30',
    preferredMaintenanceWindow: 'sun:03:00-sun:03:30',
    autoMinorVersionUpgrade: true,
    copyTagsToSnapshot: false,
    deletionProtection: false,
    iamAuthentication: false,
    logExports: [],
    processorFeatures: [],
    caCertificateIdentifier: DEFAULT_CA,
    engineLifecycleSupport: 'open-source-rds-extended-support',
    monitoringInterval: 0,
    performanceInsights: false,
    databaseInsightsMode: 'standard',
  };
}
