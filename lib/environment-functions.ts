import { ArnFormat, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { Construct } from 'constructs';
import type { FunctionName, RestorePointFunctionName } from '../lambdas/contract/functions';
import type { CopyRules, DrillRules, RecoveryRules, RetentionRules } from '../lambdas/contract/rules';
import type { DrillSchedule, RecoverySettings, SnapshotCopies, SnapshotSchedule } from './environments';
import { RUNS_IN_VPC, type AnyFunctionName } from './functions';
import type { MigrationRollbackProps } from './migration-rollback';
import { functionPermissions } from './permissions/function-permissions';
import { RollbackFunction, type RollbackFunctionProps } from './rollback-function';
import { homeRoleName, vaultRoleArn, vaultRoleOf, vaultRules, type VaultScope } from './vault';

/** With what has a default filled in. */
export type EnvironmentFunctionsProps = MigrationRollbackProps &
  Required<
    Pick<MigrationRollbackProps, 'snapshotRetentionDays' | 'scheduledSnapshots' | 'recovery' | 'logDays'>
  >;

export interface EnvironmentFunctions {
  readonly functions: Readonly<Record<FunctionName, RollbackFunction>>;
  readonly restorePointFunctions: Readonly<Record<RestorePointFunctionName, RollbackFunction>>;
  /** Only where there are copies in another Region. */
  readonly copySnapshots: RollbackFunction | undefined;
  /** Only where there are copies in another account. */
  readonly copyToVault: RollbackFunction | undefined;
}

/** The functions that know how long snapshots stay. */
const NEED_RULES: readonly AnyFunctionName[] = ['scheduled-snapshot', 'reap-snapshots', 'restore-points'];

/** The functions that know how recoveries are carried out. */
const NEED_RECOVERY_RULES: readonly AnyFunctionName[] = ['plan', 'restart-consumers', 'prove-consumers'];

/** The functions that know of the copies. */
const NEED_COPY_RULES: readonly AnyFunctionName[] = [
  'copy-snapshots',
  'bring-back-copy',
  'reap-snapshots',
  'restore-points',
];

/** Makes the functions of an environment: each with what it is told, what it may do, and in the VPC where it talks to PostgreSQL. */
export function environmentFunctions(
  scope: Construct,
  props: EnvironmentFunctionsProps,
): EnvironmentFunctions {
  const { environment, vpc, vault, logDays } = props;
  const machineName = `${environment}-recovery`;
  const { databaseUrlSecret, masterSecret } = props;
  const permissions = functionPermissions(scope, {
    environment,
    databaseUrlSecret,
    masterSecret,
    machineName,
    consumers: props.recovery.consumers,
    ...(props.copies && { copyRegion: props.copies.region }),
    ...(vault && { vault }),
  });
  const database = {
    vpc,
    subnets: props.subnets ?? vpc.isolatedSubnets,
    securityGroup: securityGroup(scope, props),
  };
  const settings = settingsOf(scope, machineName, props);
  const make = (name: AnyFunctionName): RollbackFunction =>
    new RollbackFunction(scope, constructId(name), {
      environment,
      functionName: name,
      settings: settings(name),
      permissions: permissions[name],
      ...(vault && vaultRoleOf(name) && { roleName: homeRoleName({ environment, vault }, name) }),
      logDays,
      ...(RUNS_IN_VPC[name] && { database }),
    });
  const functions = {
    'pre-migration-snapshot': make('pre-migration-snapshot'),
    plan: make('plan'),
    'start-restore': make('start-restore'),
    'take-safety-snapshot': make('take-safety-snapshot'),
    'take-back': make('take-back'),
    'give-back': make('give-back'),
    'check-restored-instance': make('check-restored-instance'),
    'record-position': make('record-position'),
    'match-settings': make('match-settings'),
    'match-credentials': make('match-credentials'),
    verify: make('verify'),
    'end-drill': make('end-drill'),
    warm: make('warm'),
    hydrate: make('hydrate'),
    fence: make('fence'),
    swap: make('swap'),
    prove: make('prove'),
    'restart-consumers': make('restart-consumers'),
    'prove-consumers': make('prove-consumers'),
    'finish-settings': make('finish-settings'),
    'swap-back': make('swap-back'),
    'lift-fence': make('lift-fence'),
    drain: make('drain'),
    soak: make('soak'),
    retire: make('retire'),
    discard: make('discard'),
    'clean-up': make('clean-up'),
    rename: make('rename'),
    'finish-rename': make('finish-rename'),
    fail: make('fail'),
    decide: make('decide'),
  };
  const restorePointFunctions = {
    'check-migrations': make('check-migrations'),
    'scheduled-snapshot': make('scheduled-snapshot'),
    'reap-snapshots': make('reap-snapshots'),
    'restore-points': make('restore-points'),
    'lift-quarantine': make('lift-quarantine'),
  };
  const copySnapshots = props.copies && make('copy-snapshots');
  const copyToVault = vault && make('copy-to-vault');
  if (props.copies ?? vault) make('bring-back-copy');
  return { functions, restorePointFunctions, copySnapshots, copyToVault };
}

/** What each function is told in its environment variables. */
function settingsOf(
  scope: Construct,
  machineName: string,
  props: EnvironmentFunctionsProps,
): (name: AnyFunctionName) => RollbackFunctionProps['settings'] {
  const { environment, copies, vault, drills, instancePrice } = props;
  // By its name: the machine is made of these functions.
  const machineArn = Stack.of(scope).formatArn({
    service: 'states',
    resource: 'stateMachine',
    resourceName: machineName,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  return (name) => ({
    ENVIRONMENT: environment,
    DATABASE_URL_SECRET_ID: props.databaseUrlSecret.secretArn,
    MASTER_SECRET_ID: props.masterSecret.secretArn,
    SNAPSHOT_RETENTION_DAYS: String(props.snapshotRetentionDays),
    ...(NEED_RULES.includes(name) && {
      RETENTION_RULES: JSON.stringify(retentionRules(props.scheduledSnapshots)),
    }),
    ...(NEED_COPY_RULES.includes(name) && copies && { COPY_RULES: JSON.stringify(copyRules(copies)) }),
    ...(vault && vaultSettings(scope, { environment, vault }, name)),
    ...(NEED_RECOVERY_RULES.includes(name) && {
      RECOVERY_RULES: JSON.stringify(recoveryRules(props.recovery)),
    }),
    ...(name === 'decide' && { RECOVERY_MACHINE_ARN: machineArn }),
    ...(name === 'reap-snapshots' && drills && { DRILL_RULES: drillRules(scope, machineArn, drills) }),
    ...(name === 'plan' && instancePrice && { INSTANCE_PRICE: JSON.stringify(instancePrice) }),
  });
}

function securityGroup(
  scope: Construct,
  { vpc, instance, secretsManagerEndpoint }: EnvironmentFunctionsProps,
): ec2.SecurityGroup {
  const group = new ec2.SecurityGroup(scope, 'FunctionsSecurityGroup', {
    vpc,
    description: 'Functions that talk to the database',
    allowAllOutbound: secretsManagerEndpoint === undefined,
  });
  group.connections.allowToDefaultPort(instance, 'PostgreSQL, also of recovery instances');
  if (secretsManagerEndpoint)
    group.connections.allowTo(secretsManagerEndpoint, ec2.Port.HTTPS, 'Secrets Manager');
  return group;
}

/** `match-settings` → `MatchSettings`: the construct id is the state's name. */
function constructId(name: AnyFunctionName): string {
  return name.replace(/(^|-)([a-z])/g, (_, _dash, letter: string) => letter.toUpperCase());
}

function recoveryRules({ consumers, soakAlarms = [], ...others }: RecoverySettings): RecoveryRules {
  return { ...others, consumers: [...consumers], soakAlarms: [...soakAlarms] };
}

function retentionRules({
  dailyDays,
  weeklyDays,
  keepNewest,
  newestAtMostHours,
}: SnapshotSchedule): RetentionRules {
  return { dailyDays, weeklyDays, keepNewest, newestAtMostHours };
}

function copyRules({ kmsKeyId = 'alias/aws/rds', ...rules }: SnapshotCopies): CopyRules {
  return { ...rules, kmsKeyId };
}

/** Of the functions that have business in the vault. */
function vaultSettings(
  scope: Construct,
  names: VaultScope,
  functionName: string,
): { VAULT_RULES?: string; VAULT_ROLE_ARN?: string } {
  const role = vaultRoleOf(functionName);
  return role
    ? { VAULT_RULES: vaultRules(scope, names), VAULT_ROLE_ARN: vaultRoleArn(scope, names, role) }
    : {};
}

function drillRules(scope: Construct, machine: string, { newestAtMostDays }: DrillSchedule): string {
  const rules: DrillRules = { machine, newestAtMostDays };
  return Stack.of(scope).toJsonString(rules);
}
