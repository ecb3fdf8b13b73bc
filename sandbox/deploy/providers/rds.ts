import { z } from 'zod';
import { ApiError } from '../../core/api';
import {
  number,
  provider,
  tags,
  text,
  texts,
  truth,
  type Created,
  type Importer,
  type Provider,
  type ResourceRequest,
} from '../resource';

const Described = z.object({
  DBInstances: z.tuple([
    z.object({
      DBInstanceStatus: z.string(),
      DBInstanceArn: z.string(),
      DbiResourceId: z.string(),
      Endpoint: z.object({ Address: z.string(), Port: z.number() }).optional(),
      PendingModifiedValues: z.record(z.string(), z.unknown()).optional(),
    }),
  ]),
});

/** Statuses that an instance does not leave by itself. */
const FAILED = /^(failed|incompatible-.*|inaccessible-.*|restore-error|insufficient-capacity|storage-full)$/;
const FIRST_POLL_MILLISECONDS = 250;
const LAST_POLL_MILLISECONDS = 15_000;

/** Waits, on the clock, until an instance is available with all its settings. Answers with what its stack knows of it. */
async function untilAvailable(id: string, { call, context }: ResourceRequest): Promise<Created> {
  for (let wait = FIRST_POLL_MILLISECONDS; ; wait = Math.min(wait * 2, LAST_POLL_MILLISECONDS)) {
    const {
      DBInstances: [instance],
    } = Described.parse(await call('rds', 'DescribeDBInstances', { DBInstanceIdentifier: id }));
    const { DBInstanceStatus: status, Endpoint: endpoint, PendingModifiedValues: pending = {} } = instance;
    if (FAILED.test(status)) throw new Error(`DB instance ${id} ended in the status ${status}.`);
    if (status === 'available' && endpoint && Object.keys(pending).length === 0)
      return {
        physicalId: id,
        attributes: {
          'Endpoint.Address': endpoint.Address,
          'Endpoint.Port': String(endpoint.Port),
          DbiResourceId: instance.DbiResourceId,
          DBInstanceArn: instance.DBInstanceArn,
        },
      };
    await context.clock.sleep(wait);
  }
}

export const RDS_PROVIDERS: Readonly<Record<string, Provider>> = {
  'AWS::RDS::DBInstance': provider(
    {
      AllocatedStorage: number.optional(),
      AutoMinorVersionUpgrade: truth.optional(),
      AvailabilityZone: text.optional(),
      BackupRetentionPeriod: number.optional(),
      CACertificateIdentifier: text.optional(),
      CopyTagsToSnapshot: truth.optional(),
      DBInstanceClass: text,
      DBInstanceIdentifier: text.optional(),
      DBName: text.optional(),
      DBParameterGroupName: text.optional(),
      DBSubnetGroupName: text.optional(),
      DatabaseInsightsMode: text.optional(),
      DeleteAutomatedBackups: truth.optional(),
      DeletionProtection: truth.optional(),
      EnableCloudwatchLogsExports: texts.optional(),
      EnableIAMDatabaseAuthentication: truth.optional(),
      EnablePerformanceInsights: truth.optional(),
      Engine: text,
      EngineVersion: text.optional(),
      Iops: number.optional(),
      KmsKeyId: text.optional(),
      MasterUserPassword: text.optional(),
      MasterUsername: text.optional(),
      MaxAllocatedStorage: number.optional(),
      MonitoringInterval: number.optional(),
      MonitoringRoleArn: text.optional(),
      MultiAZ: truth.optional(),
      PerformanceInsightsKMSKeyId: text.optional(),
      PerformanceInsightsRetentionPeriod: number.optional(),
      Port: number.optional(),
      PreferredBackupWindow: text.optional(),
      PreferredMaintenanceWindow: text.optional(),
      PubliclyAccessible: truth.optional(),
      StorageEncrypted: truth.optional(),
      StorageThroughput: number.optional(),
      StorageType: text.optional(),
      Tags: tags.optional(),
      VPCSecurityGroups: texts.optional(),
    },
    // DeleteAutomatedBackups is a matter of the deletion: CloudFormation keeps it until then.
    async ({ DBInstanceIdentifier, DeleteAutomatedBackups: _, VPCSecurityGroups, ...rest }, request) => {
      const id = (DBInstanceIdentifier ?? request.generatedName(63)).toLowerCase();
      await request.call('rds', 'CreateDBInstance', {
        ...rest,
        DBInstanceIdentifier: id,
        ...(VPCSecurityGroups && { VpcSecurityGroupIds: VPCSecurityGroups }),
      });
      return untilAvailable(id, request);
    },
  ),
  'AWS::RDS::DBSubnetGroup': provider(
    {
      DBSubnetGroupDescription: text,
      DBSubnetGroupName: text.optional(),
      SubnetIds: texts,
      Tags: tags.optional(),
    },
    async (properties, { call, generatedName }) => {
      const name = (properties.DBSubnetGroupName ?? generatedName(255)).toLowerCase();
      await call('rds', 'CreateDBSubnetGroup', { ...properties, DBSubnetGroupName: name });
      return { physicalId: name };
    },
  ),
  'AWS::RDS::DBParameterGroup': provider(
    {
      DBParameterGroupName: text.optional(),
      Description: text,
      Family: text,
      Parameters: z.record(z.string(), text).default({}),
      Tags: tags.optional(),
    },
    async ({ Family, Parameters, ...properties }, { call, generatedName }) => {
      const name = (properties.DBParameterGroupName ?? generatedName(255)).toLowerCase();
      await call('rds', 'CreateDBParameterGroup', {
        ...properties,
        DBParameterGroupFamily: Family,
        DBParameterGroupName: name,
      });
      const parameters = Object.entries(Parameters).map(([ParameterName, ParameterValue]) => ({
        ParameterName,
        ParameterValue,
        ApplyMethod: 'pending-reboot',
      }));
      // ModifyDBParameterGroup takes 20 parameters at a time.
      for (let start = 0; start < parameters.length; start += 20)
        await call('rds', 'ModifyDBParameterGroup', {
          DBParameterGroupName: name,
          Parameters: parameters.slice(start, start + 20),
        });
      return { physicalId: name };
    },
  ),
};

/** An instance that exists is adopted as it is: nothing of it is changed. */
export const RDS_IMPORTERS: Readonly<Record<string, Importer>> = {
  'AWS::RDS::DBInstance': async ({ DBInstanceIdentifier: id }, request) => {
    if (typeof id !== 'string') return undefined;
    try {
      await request.call('rds', 'DescribeDBInstances', { DBInstanceIdentifier: id });
    } catch (error) {
      if (error instanceof ApiError && error.code === 'DBInstanceNotFoundFault') return undefined;
      throw error;
    }
    return untilAvailable(id.toLowerCase(), request);
  },
};
