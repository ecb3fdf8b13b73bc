import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { z } from 'zod';
import type { InstancePrice } from '../lambdas/contract/rules';
import type { CiRepository } from './ci-role';
import type {
  DatabaseSettings,
  DrillSchedule,
  EnvironmentSettings,
  ExistingDatabase,
  ExistingVpc,
  RecoverySettings,
  SnapshotCopies,
  SnapshotSchedule,
  SnapshotVault,
} from './environments';

/** Every member of T, the optional ones too. */
type ShapeOf<T> = { readonly [Key in keyof T]-?: z.ZodType<T[Key] | undefined> };

const text = z.string();
const number = z.number();
const boolean = z.boolean();

const vpc = z.strictObject({
  vpcId: text,
  availabilityZones: z.array(text),
  subnetIds: z.array(text),
  reachesSecretsManager: boolean,
} satisfies ShapeOf<ExistingVpc>);

const existing = z.strictObject({
  vpc,
  instanceId: text,
  port: number,
  securityGroupId: text,
  masterSecretArn: text,
  databaseUrlSecretArn: text,
} satisfies ShapeOf<ExistingDatabase>);

const made = z.strictObject({
  instanceIdentifier: text.exactOptional(),
  instanceType: text,
  allocatedStorageGiB: number,
  maxAllocatedStorageGiB: number,
  multiAz: boolean,
  protectedFromDeletion: boolean,
  databaseName: text,
  applicationRole: text,
} satisfies ShapeOf<DatabaseSettings>);

const schedule = z.strictObject({
  hour: number,
  timeZone: text,
  dailyDays: number,
  weeklyDays: number,
  keepNewest: number,
  newestAtMostHours: number,
} satisfies ShapeOf<SnapshotSchedule>);

const copies = z.strictObject({
  region: text,
  kmsKeyId: text.exactOptional(),
  preMigrationDays: number,
  dailyDays: number,
  weeklyDays: number,
  keepNewest: number,
  newestAtMostHours: number,
} satisfies ShapeOf<SnapshotCopies>);

const vault = z.strictObject({
  account: text,
  homeAccount: text,
  preMigrationDays: number,
  dailyDays: number,
  weeklyDays: number,
  keepNewest: number,
  newestAtMostHours: number,
  notify: z.array(text),
} satisfies ShapeOf<SnapshotVault>);

const ci = z.strictObject({
  system: z.enum(['github', 'gitlab']),
  repository: text,
  branch: text.exactOptional(),
  environment: text.exactOptional(),
} satisfies ShapeOf<CiRepository>);

const drills = z.strictObject({
  dayOfWeek: z.enum(['MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT', 'SUN']),
  hour: number,
  timeZone: text,
  newestAtMostDays: number,
} satisfies ShapeOf<DrillSchedule>);

const recovery = z.strictObject({
  approveCutover: boolean,
  approveRetirement: boolean,
  consumers: z.array(z.strictObject({ cluster: text, service: text })),
  soakMinutes: number.exactOptional(),
  soakAlarms: z.array(text).exactOptional(),
} satisfies ShapeOf<RecoverySettings>);

const price = z.strictObject({
  instanceClass: text,
  perHour: number,
  storagePerGibMonth: number,
  currency: text,
  priceOf: text,
} satisfies ShapeOf<InstancePrice>);

const settings = z.strictObject({
  name: z.enum(['production', 'staging', 'development']),
  stackPrefix: text,
  automatedBackupDays: number,
  preMigrationSnapshotDays: number,
  scheduledSnapshots: schedule.nullable(),
  copies: copies.nullable(),
  vault: vault.nullable(),
  ci: ci.exactOptional(),
  drills: drills.nullable(),
  recovery: recovery.nullable(),
  logDays: z.enum(RetentionDays),
  notify: z.array(text),
  price: price.exactOptional(),
  // Which of the two it is to be is said by `existing`, so that a mistake is told of the one that was meant.
  database: z.custom<EnvironmentSettings['database']>(isRecord, 'Write the settings of a database.'),
  vpc: vpc.exactOptional(),
} satisfies ShapeOf<EnvironmentSettings>);

/**
 * Finds members that are missing, unknown or of another type. `cdk` runs the app without a compiler: without this a setting with a
 * letter wrong would be left out, and seen in the night in which it is needed.
 * @throws Error that names the setting, the value found and what to write instead
 */
export function checkShape(environment: EnvironmentSettings): void {
  const whose = typeof environment.name === 'string' ? environment.name : 'lib/environments.ts';
  refuseFirst(whose, [], environment, settings);
  const { database } = environment;
  if ('existing' in database) refuseFirst(whose, ['database'], database, z.strictObject({ existing }));
  else refuseFirst(whose, ['database'], database, made);
}

/** Whether every member is there and of its type. */
export function isWhole(environment: EnvironmentSettings): boolean {
  const { success, data } = settings.safeParse(environment);
  return success && z.union([z.strictObject({ existing }), made]).safeParse(data.database).success;
}

function refuseFirst(whose: string, place: readonly string[], value: unknown, schema: z.ZodType): void {
  const [issue] = schema.safeParse(value, { reportInput: true }).error?.issues ?? [];
  if (!issue) return;
  const path = [...place, ...issue.path];
  if (issue.code === 'unrecognized_keys')
    throw new Error(
      `${whose}: ${[...path, issue.keys[0]].join('.')} is no setting. Is a letter wrong? lib/environments.ts has the names.`,
    );
  const found = issue.input === undefined ? 'missing' : JSON.stringify(issue.input);
  throw new Error(`${whose}: ${path.join('.')} is ${found}. ${wanted(issue)}`);
}

function wanted(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_value')
    return `Write one of ${issue.values.filter((each) => typeof each !== 'symbol').join(', ')}.`;
  if (issue.code !== 'invalid_type') return issue.message;
  switch (issue.expected) {
    case 'string':
      return 'Write text, in quotes.';
    case 'number':
      return 'Write a number, without quotes.';
    case 'boolean':
      return 'Write true or false, without quotes.';
    case 'array':
      return 'Write a list, [] for none.';
    case 'object':
      return 'Write its settings in braces; lib/environments.ts says which, and where null means none.';
    default:
      return `It has to be ${issue.expected}.`;
  }
}

function isRecord(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
