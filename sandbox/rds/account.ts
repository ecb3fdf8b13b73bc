import type {
  DescribeAccountAttributesMessage,
  DescribeCertificatesMessage,
  DescribeDBEngineVersionsMessage,
  DescribeEventsMessage,
  DescribeOrderableDBInstanceOptionsMessage,
  DescribePendingMaintenanceActionsMessage,
} from '@aws-sdk/client-rds';
import type { Operation } from '../core/api';
import { DEFAULT_CA, MOST_INSTANCES, MOST_MANUAL_SNAPSHOTS } from './defaults';
import { operation } from './operation';
import { page } from './paging';
import type { Rds } from './rds';
import { manualSnapshots } from './snapshots';

const HOUR = 3600 * 1000;

/** What RDS says of the account and of itself: quotas, events, versions, classes, certificates. */
export function accountOperations(rds: Rds): Record<string, Operation> {
  const { state, postgres } = rds;
  const [major = ''] = postgres.version.split('.');
  return {
    ...operation<DescribeAccountAttributesMessage>('DescribeAccountAttributes', [], () => {
      const storage = [...state.instances.values()].reduce(
        (sum, { settings }) => sum + settings.allocatedStorage,
        0,
      );
      const quota = (AccountQuotaName: string, Used: number, Max: number): object => ({
        AccountQuotaName,
        Used,
        Max,
      });
      return {
        AccountQuotas: [
          quota('DBInstances', state.instances.size, MOST_INSTANCES),
          quota('AllocatedStorage', storage, 100_000),
          quota('ManualSnapshots', manualSnapshots(rds), MOST_MANUAL_SNAPSHOTS),
          quota('DBParameterGroups', state.parameterGroups.size, 50),
          quota('DBSubnetGroups', state.subnetGroups.size, 50),
        ],
      };
    }),
    ...operation<DescribeEventsMessage>(
      'DescribeEvents',
      [
        'SourceIdentifier',
        'SourceType',
        'StartTime',
        'EndTime',
        'Duration',
        'EventCategories',
        'MaxRecords',
        'Marker',
      ],
      (input) => {
        const end = input.EndTime ?? rds.now();
        const minutes = input.Duration ?? 60;
        const start = input.StartTime ?? new Date(end.getTime() - (minutes / 60) * HOUR);
        const events = state.events.filter(
          (event) =>
            (input.SourceIdentifier === undefined || event.SourceIdentifier === input.SourceIdentifier) &&
            (input.SourceType === undefined || event.SourceType === input.SourceType) &&
            (input.EventCategories ?? []).every((category) => event.EventCategories?.includes(category)) &&
            event.Date !== undefined &&
            event.Date >= start &&
            event.Date <= end,
        );
        const { items, Marker } = page(events, input);
        return { Events: items, Marker };
      },
    ),
    ...operation<DescribePendingMaintenanceActionsMessage>(
      'DescribePendingMaintenanceActions',
      ['ResourceIdentifier', 'MaxRecords', 'Marker'],
      () => ({ PendingMaintenanceActions: [] }),
    ),
    ...operation<DescribeDBEngineVersionsMessage>(
      'DescribeDBEngineVersions',
      ['Engine', 'EngineVersion', 'DBParameterGroupFamily', 'DefaultOnly', 'MaxRecords', 'Marker'],
      (input) => {
        const family = `postgres${major}`;
        const wanted =
          (input.Engine ?? 'postgres') === 'postgres' &&
          (input.DBParameterGroupFamily ?? family) === family &&
          [major, postgres.version].includes(input.EngineVersion ?? major);
        const version = {
          Engine: 'postgres',
          MajorEngineVersion: major,
          EngineVersion: postgres.version,
          DBParameterGroupFamily: family,
          DBEngineDescription: 'PostgreSQL',
          DBEngineVersionDescription: `PostgreSQL ${postgres.version}`,
          ValidUpgradeTarget: [],
          ExportableLogTypes: ['postgresql', 'upgrade', 'iam-db-auth-error'],
          SupportsLogExportsToCloudwatchLogs: true,
          SupportedCACertificateIdentifiers: [DEFAULT_CA],
          Status: 'available',
        };
        return { DBEngineVersions: wanted ? [version] : [] };
      },
    ),
    ...operation<DescribeOrderableDBInstanceOptionsMessage>(
      'DescribeOrderableDBInstanceOptions',
      ['Engine', 'EngineVersion', 'DBInstanceClass', 'LicenseModel', 'Vpc', 'MaxRecords', 'Marker'],
      (input) => {
        const classes = ['db.t4g.micro', 'db.t4g.small', 'db.t4g.medium', 'db.m7g.large', 'db.r7g.large'];
        const options = classes
          .filter((name) => input.DBInstanceClass === undefined || name === input.DBInstanceClass)
          .map((DBInstanceClass) => ({
            Engine: 'postgres',
            EngineVersion: postgres.version,
            DBInstanceClass,
            LicenseModel: 'postgresql-license',
            MultiAZCapable: true,
            Vpc: true,
            SupportsStorageEncryption: true,
            StorageType: 'gp3',
            SupportsIAMDatabaseAuthentication: true,
            SupportsStorageAutoscaling: true,
            SupportedNetworkTypes: ['IPV4'],
          }));
        const { items, Marker } = page(options, input);
        return { OrderableDBInstanceOptions: items, Marker };
      },
    ),
    ...operation<DescribeCertificatesMessage>(
      'DescribeCertificates',
      ['CertificateIdentifier', 'MaxRecords', 'Marker'],
      () => ({
        DefaultCertificateForNewLaunches: DEFAULT_CA,
        Certificates: [
          {
            CertificateIdentifier: DEFAULT_CA,
            CertificateType: 'CA',
            CertificateArn: rds.arn(`cert:${DEFAULT_CA}`),
            CustomerOverride: false,
          },
        ],
      }),
    ),
  };
}
