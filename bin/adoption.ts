import type { DBInstance } from '@aws-sdk/client-rds';
import { z } from 'zod';

/** The stack as its template has it, as far as an adoption is concerned. */
const Template = z.object({
  Resources: z.record(
    z.string(),
    z.object({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).default({}) }),
  ),
});

/** What the stack would own after the adoption. */
export interface OwnedInstance {
  readonly stackName: string;
  readonly logicalId: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What becomes of a property at the next deploy that touches the instance. */
export type Verdict =
  | 'equal'
  /** The deploy gives the instance the template's value. */
  | 'set'
  /** The deploy would fail. */
  | 'refused'
  /** The deploy would put an empty instance in the place of the live one. */
  | 'replaced'
  /** Cannot be told from outside of CloudFormation. */
  | 'not told';

export interface ComparedProperty {
  readonly name: string;
  readonly template: string;
  readonly live: string;
  readonly verdict: Verdict;
  /** What to know about it, or to do. */
  readonly note: string;
}

interface Property {
  readonly read: (live: DBInstance) => unknown;
  /** Those of AWS::RDS::DBInstance that cannot be changed. */
  readonly replaces?: true;
  /** Why a value other than the live one cannot be set, and what to do. */
  readonly refuses?: (template: string, live: string) => string | undefined;
}

/** How the properties of AWS::RDS::DBInstance read in what RDS says of an instance. */
const PROPERTIES: Readonly<Record<string, Property>> = {
  AllocatedStorage: {
    read: (live) => live.AllocatedStorage,
    refuses: (template, live) =>
      Number(template) < Number(live)
        ? `Storage never shrinks: write ${live} or more for allocatedStorageGiB in lib/environments.ts.`
        : undefined,
  },
  AutoMinorVersionUpgrade: { read: (live) => live.AutoMinorVersionUpgrade },
  BackupRetentionPeriod: { read: (live) => live.BackupRetentionPeriod },
  CACertificateIdentifier: { read: (live) => live.CACertificateIdentifier },
  CopyTagsToSnapshot: { read: (live) => live.CopyTagsToSnapshot },
  DBInstanceClass: { read: (live) => live.DBInstanceClass },
  DBInstanceIdentifier: { read: (live) => live.DBInstanceIdentifier, replaces: true },
  DBName: { read: (live) => live.DBName, replaces: true },
  DBParameterGroupName: { read: (live) => live.DBParameterGroups?.[0]?.DBParameterGroupName },
  DBSubnetGroupName: { read: (live) => live.DBSubnetGroup?.DBSubnetGroupName, replaces: true },
  DatabaseInsightsMode: { read: (live) => live.DatabaseInsightsMode ?? 'standard' },
  DeletionProtection: { read: (live) => live.DeletionProtection ?? false },
  EnableCloudwatchLogsExports: { read: (live) => live.EnabledCloudwatchLogsExports ?? [] },
  EnableIAMDatabaseAuthentication: { read: (live) => live.IAMDatabaseAuthenticationEnabled ?? false },
  EnablePerformanceInsights: { read: (live) => live.PerformanceInsightsEnabled ?? false },
  Engine: { read: (live) => live.Engine, replaces: true },
  EngineVersion: {
    read: (live) => live.EngineVersion,
    refuses: (template, live) =>
      isOlder(template, live)
        ? `RDS takes no older version: write PostgreSQL ${live} in lib/database-stack.ts.`
        : undefined,
  },
  Iops: { read: (live) => live.Iops },
  KmsKeyId: { read: (live) => live.KmsKeyId, replaces: true },
  MasterUsername: { read: (live) => live.MasterUsername, replaces: true },
  MaxAllocatedStorage: { read: (live) => live.MaxAllocatedStorage },
  MonitoringInterval: { read: (live) => live.MonitoringInterval ?? 0 },
  MonitoringRoleArn: { read: (live) => live.MonitoringRoleArn },
  MultiAZ: { read: (live) => live.MultiAZ },
  Port: { read: (live) => live.Endpoint?.Port, replaces: true },
  PreferredBackupWindow: { read: (live) => live.PreferredBackupWindow },
  PreferredMaintenanceWindow: { read: (live) => live.PreferredMaintenanceWindow },
  PubliclyAccessible: { read: (live) => live.PubliclyAccessible },
  StorageEncrypted: { read: (live) => live.StorageEncrypted, replaces: true },
  StorageThroughput: { read: (live) => live.StorageThroughput },
  StorageType: { read: (live) => live.StorageType },
  VPCSecurityGroups: {
    read: (live) => (live.VpcSecurityGroups ?? []).flatMap((group) => group.VpcSecurityGroupId ?? []),
  },
};

/** What RDS does not say, and why that is no matter here. */
const NOT_TOLD: Readonly<Record<string, string>> = {
  DeleteAutomatedBackups: 'A matter of the deletion only.',
  MasterUserPassword:
    'The value of the master secret at the deploy. Recoveries give the instance the same one.',
};

/** @throws Error when the template does not have exactly one instance */
export function ownedInstance(stackName: string, template: unknown): OwnedInstance {
  const [instance, ...others] = Object.entries(Template.parse(template).Resources).filter(
    ([, { Type }]) => Type === 'AWS::RDS::DBInstance',
  );
  if (!instance || others.length > 0)
    throw new Error(`The template of ${stackName} has ${instance ? 'several instances' : 'no instance'}.`);
  const [logicalId, { Properties: properties }] = instance;
  return { stackName, logicalId, properties };
}

/** Every property of the template beside what the live instance has. No value of a secret is in it. */
export function compareWithLive(owned: OwnedInstance, live: DBInstance): ComparedProperty[] {
  return Object.entries(owned.properties)
    .map(([name, value]) => compareProperty(owned, name, value, live))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

function compareProperty(
  { stackName }: OwnedInstance,
  name: string,
  value: unknown,
  instance: DBInstance,
): ComparedProperty {
  const property = PROPERTIES[name];
  const because = NOT_TOLD[name];
  if (because !== undefined || !property)
    return {
      name,
      template: because === undefined ? show(value) : '',
      live: '',
      verdict: 'not told',
      note: because ?? 'Not known here: compare it by hand, in the console.',
    };
  const live = show(property.read(instance));
  const reference = Reference.safeParse(value);
  if (reference.success) {
    // CloudFormation names what it makes <stack>-<logical id>-<random>.
    const beginning = `${stackName}-${reference.data.Ref}-`.toLowerCase();
    const template = `${beginning}…`;
    return live.startsWith(beginning)
      ? { name, template, live, verdict: 'equal', note: '' }
      : different(property, name, template, live);
  }
  const template = show(value);
  if (template.includes('{'))
    return {
      name,
      template: "made by the stack: it knows its id, this doesn't",
      live,
      verdict: 'not told',
      note: 'The recovery took it over from the instance before. `cdk drift` compares it afterwards.',
    };
  const equal = name === 'EngineVersion' ? `${live}.`.startsWith(`${template}.`) : live === template;
  return equal
    ? { name, template, live, verdict: 'equal', note: '' }
    : different(property, name, template, live);
}

const Reference = z.strictObject({ Ref: z.string() });

function different(property: Property, name: string, template: string, live: string): ComparedProperty {
  if (property.replaces)
    return { name, template, live, verdict: 'replaced', note: 'It cannot be changed on an instance.' };
  const refused = property.refuses?.(template, live);
  if (refused !== undefined) return { name, template, live, verdict: 'refused', note: refused };
  return { name, template, live, verdict: 'set', note: `${live} becomes ${template}.` };
}

/** `17.9` is older than `17.10`. */
function isOlder(version: string, other: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = other.split('.').map(Number);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}

/** Numbers and truths are text in templates, too. */
function show(value: unknown): string {
  if (value === undefined || value === null) return 'none';
  if (Array.isArray(value)) return value.map(show).sort().join(', ') || 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** What the operator is told about the settings; one line for each, those that matter first. */
export function comparedTable(compared: readonly ComparedProperty[]): string[] {
  const told = (verdict: Verdict): readonly ComparedProperty[] =>
    compared.filter((property) => property.verdict === verdict);
  const differing = [...told('replaced'), ...told('refused'), ...told('set')];
  const rows = [
    ['PROPERTY', 'TEMPLATE', 'LIVE', ''],
    ...differing.map(({ name, template, live, verdict, note }) => [
      name,
      template,
      live,
      `${verdict}: ${note}`,
    ]),
  ];
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return [
    `${told('equal').length} of ${compared.length} properties of the template are what the live instance has.`,
    ...(differing.length === 0 ? [] : lines.map((line) => `  ${line}`)),
    ...told('not told').map(
      ({ name, live, note }) => `  ${name} is not compared${live === '' ? '' : ` (live: ${live})`}. ${note}`,
    ),
  ];
}

/** What is under way, or still to be decided, that an adoption would be in the way of, and what to do; undefined if nothing is. */
export function inTheWay({
  live,
  ownedId,
  owned,
  runningRecovery,
}: {
  readonly live: DBInstance;
  readonly ownedId: string;
  /** What the stack owns so far, if it is still there. */
  readonly owned: DBInstance | undefined;
  /** Name of the execution that is bringing the database back. */
  readonly runningRecovery: string | undefined;
}): string | undefined {
  if (runningRecovery !== undefined)
    return `The recovery ${runningRecovery} is running. Wait for its end, and run this again.`;
  if (owned)
    return (
      `${ownedId}, which the stack owns, is still there (${owned.DBInstanceStatus ?? 'unknown'}): one can go back to it. ` +
      'Adopt when nobody wants to any more: delete it as docs/runbook.md says under "Delete an instance that was kept", and run this again.'
    );
  const {
    DBInstanceIdentifier: id = '',
    DBInstanceStatus: status = 'unknown',
    PendingModifiedValues = {},
  } = live;
  const pending = Object.entries(PendingModifiedValues).flatMap(([name, value]) =>
    value === undefined ? [] : name,
  );
  if (status !== 'available' || pending.length > 0)
    return (
      `${id} is ${status}${pending.length > 0 ? `, with changes pending: ${pending.join(', ')}` : ''}. ` +
      'CloudFormation adopts it when it is available and settled: wait, and run this again.'
    );
  const waiting = live.DBParameterGroups?.find(
    ({ ParameterApplyStatus }) => ParameterApplyStatus !== 'in-sync',
  );
  if (waiting)
    return (
      `The parameter group ${waiting.DBParameterGroupName ?? ''} of ${id} is ${waiting.ParameterApplyStatus ?? 'unknown'}. ` +
      'CloudFormation restarts an instance whose parameters wait for that. Restart it yourself, at a time of your choice, and run this again.'
    );
  return undefined;
}

/** What the adoption is about. */
export interface Adoption {
  readonly environment: string;
  readonly stackName: string;
  readonly rollbackStackName: string;
  /** The live instance. */
  readonly instanceId: string;
  /** What the stack owns so far, and what is gone. */
  readonly ownedId: string;
  /** Whether the stack keeps what it lets go; if not, it deletes it. */
  readonly keeps: boolean;
}

/** The steps that make the live instance the stack's own, in order, each with what it does and how to go back. */
export function adoptionSteps(adoption: Adoption, compared: readonly ComparedProperty[]): string[] {
  const { environment, stackName, rollbackStackName, instanceId, ownedId, keeps } = adoption;
  const sets = compared.filter(({ verdict }) => verdict === 'set').map(({ name }) => name);
  const first =
    sets.length === 0
      ? []
      : [
          `First: adopting sets ${sets.join(', ')} on the live instance, maybe at once, maybe with a restart.`,
          'Where you do not want that write the live value into lib/environments.ts, and run this again.',
          '',
        ];
  return [
    ...first,
    `1. In lib/environments.ts, in "database" of ${environment}, write`,
    '',
    `     instanceIdentifier: '${instanceId}',`,
    '',
    '   Nothing has happened yet. To go back take the line out again. Let no pipeline deploy it before step 3: without the',
    '   option there, a deploy wants to make an instance of that name, fails because there is one, and is undone.',
    '',
    '2. Look at what will happen. It changes nothing.',
    '',
    `     npx cdk diff ${stackName} --import-existing-resources`,
    '',
    `   There must be: ${instanceId} imported; ${ownedId} ${keeps ? 'let go (orphan)' : 'destroyed'}, which is gone already; its two log`,
    `   groups ${keeps ? 'let go, and those' : 'destroyed with what it logged, and those'} of the new one imported or made; host and port of ApplicationDatabase,`,
    '   which ignores it. No database is created or replaced, no secret is named.',
    '',
    '3. Adopt it. The database serves all the while; nothing of it is changed, but for what stands above.',
    '',
    `     npx cdk deploy ${stackName} --import-existing-resources`,
    '',
    '   If it fails CloudFormation goes back by itself, and the instance is as it was. When it is done, put the line of step 1',
    `   into the repository. There is nothing to go back to then: ${ownedId} is gone.`,
    '',
    '4. Prove it: no drift, no difference, and a template that equals the live settings.',
    '',
    `     npx cdk drift ${stackName}`,
    `     npx cdk diff ${stackName} ${rollbackStackName}`,
    `     npm run adopt -- --env ${environment}`,
  ];
}
