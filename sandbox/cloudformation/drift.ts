import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { administratorOf } from '../core/account';
import { ApiError } from '../core/api';
import type { SandboxContext } from '../core/context';
import type { DeployedResource } from '../deploy/deploy';
import type { Json } from '../deploy/json';

/** How a resource differs from what its stack gave it. Plain data. */
export interface Drift {
  readonly logicalId: string;
  readonly physicalId: string;
  readonly type: string;
  readonly status: 'IN_SYNC' | 'MODIFIED' | 'DELETED';
  readonly differences: readonly { readonly name: string; readonly expected: Json; readonly actual: Json }[];
}

/** What became of the resources of a stack at one moment. */
export interface DriftDetection {
  readonly stackName: string;
  readonly at: Date;
  readonly drifts: readonly Drift[];
}

const INSTANCE = 'AWS::RDS::DBInstance';

const Instance = z.looseObject({
  DBParameterGroups: z.array(z.object({ DBParameterGroupName: z.string() })).default([]),
  DBSubnetGroup: z.object({ DBSubnetGroupName: z.string() }).optional(),
  EnabledCloudwatchLogsExports: z.array(z.string()).default([]),
  Endpoint: z.object({ Port: z.number() }).optional(),
  IAMDatabaseAuthenticationEnabled: z.boolean().optional(),
  PerformanceInsightsEnabled: z.boolean().optional(),
  VpcSecurityGroups: z.array(z.object({ VpcSecurityGroupId: z.string() })).default([]),
});
type Instance = z.infer<typeof Instance>;
const Described = z.object({ DBInstances: z.array(Instance) });

/** Where RDS shows a property under another name than the template has for it. */
const SHOWN_ELSEWHERE: Readonly<Record<string, (instance: Instance) => unknown>> = {
  DBParameterGroupName: ({ DBParameterGroups }) => DBParameterGroups[0]?.DBParameterGroupName,
  DBSubnetGroupName: ({ DBSubnetGroup }) => DBSubnetGroup?.DBSubnetGroupName,
  EnableCloudwatchLogsExports: ({ EnabledCloudwatchLogsExports }) => EnabledCloudwatchLogsExports,
  EnableIAMDatabaseAuthentication: (instance) => instance.IAMDatabaseAuthenticationEnabled,
  EnablePerformanceInsights: (instance) => instance.PerformanceInsightsEnabled,
  Port: ({ Endpoint }) => Endpoint?.Port,
  VPCSecurityGroups: ({ VpcSecurityGroups }) =>
    VpcSecurityGroups.map(({ VpcSecurityGroupId }) => VpcSecurityGroupId),
};

/** What no API shows, and the tags, which others may add to. */
const NOT_COMPARED = ['MasterUserPassword', 'DeleteAutomatedBackups', 'Tags'];

/** Looks at the DB instances of a stack. Other resources are not looked at: CloudFormation leaves such out of its answer. */
export async function detectDrift(
  resources: readonly DeployedResource[],
  context: SandboxContext,
): Promise<readonly Drift[]> {
  return Promise.all(
    resources
      .filter(({ type }) => type === INSTANCE)
      .map(async (resource): Promise<Drift> => {
        const { logicalId, physicalId, type } = resource;
        const instance = await instanceOf(physicalId, context);
        if (!instance) return { logicalId, physicalId, type, status: 'DELETED', differences: [] };
        const differences = differencesOf(resource, instance);
        const status = differences.length > 0 ? 'MODIFIED' : 'IN_SYNC';
        return { logicalId, physicalId, type, status, differences };
      }),
  );
}

async function instanceOf(id: string, { api, account }: SandboxContext): Promise<Instance | undefined> {
  try {
    const described = await api.call(
      'rds',
      'DescribeDBInstances',
      { DBInstanceIdentifier: id },
      administratorOf(account),
    );
    return Described.parse(described).DBInstances[0];
  } catch (error) {
    if (error instanceof ApiError && error.code === 'DBInstanceNotFoundFault') return undefined;
    throw error;
  }
}

function differencesOf({ properties }: DeployedResource, instance: Instance): Drift['differences'] {
  return Object.entries(properties).flatMap(([name, given]) => {
    if (NOT_COMPARED.includes(name)) return [];
    const read = SHOWN_ELSEWHERE[name];
    const actual = comparable(read ? read(instance) : instance[name]);
    const expected = comparable(given);
    return isDeepStrictEqual(actual, expected) ? [] : [{ name, expected, actual }];
  });
}

/** Templates write numbers and truths as text, too; lists are in no order; names of RDS know no capitals. */
function comparable(value: unknown): Json {
  if (Array.isArray(value)) return value.map((item) => String(item)).sort();
  if (value === undefined || value === null) return '';
  return (typeof value === 'string' ? value : JSON.stringify(value)).toLowerCase();
}
