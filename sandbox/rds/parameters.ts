import type { Parameter } from '@aws-sdk/client-rds';
import { NotInSandbox } from '../core/api';
import type { ServerParameter } from '../postgres/contract';
import { isPreloadable, isSandboxOwned } from '../postgres/settings';
import { invalidCombination, invalidValue } from './errors';
import { checkFormula, isFormula } from './formulas';
import type { ParameterSetting } from './state';

/** The parameters of the family: PostgreSQL's own, as the server describes them, and those that only RDS has. */

interface RdsParameter extends ServerParameter {
  readonly value: string;
  /** It does here what it does on AWS. */
  readonly acts: boolean;
}

/** Parameters that RDS has and PostgreSQL has not; they never reach postgresql.conf as such. */
const RDS_PARAMETERS: readonly RdsParameter[] = [
  rdsParameter('rds.force_ssl', 'boolean', '1', 'Force SSL connections.', { acts: true }),
  rdsParameter('rds.logical_replication', 'boolean', '0', 'Enables logical decoding.', {
    acts: true,
    isStatic: true,
  }),
  rdsParameter(
    'rds.log_retention_period',
    'integer',
    '4320',
    'Amazon RDS will delete PostgreSQL log that are older than N minutes.',
    {
      // Nothing that a client sees depends on it.
      acts: true,
      range: { min: 1440, max: 10_080 },
    },
  ),
  rdsParameter(
    'rds.force_autovacuum_logging_level',
    'list',
    'warning',
    'Emit autovacuum log messages irrespective of other logging configuration.',
  ),
  rdsParameter(
    'rds.force_admin_logging_level',
    'list',
    'disabled',
    'Emit log messages for RDS admin user actions irrespective of other logging configuration.',
  ),
  rdsParameter(
    'rds.restrict_password_commands',
    'boolean',
    '0',
    'Restricts password-related commands to members of rds_password.',
    { isStatic: true },
  ),
  rdsParameter(
    'rds.rds_superuser_reserved_connections',
    'integer',
    '2',
    'Sets the number of connection slots reserved for rds_superusers.',
    { isStatic: true },
  ),
  rdsParameter(
    'rds.adaptive_autovacuum',
    'boolean',
    '1',
    'RDS parameter to enable/disable adaptive autovacuum.',
  ),
];

function rdsParameter(
  name: string,
  type: ServerParameter['type'],
  value: string,
  description: string,
  {
    isStatic = false,
    acts = false,
    range,
  }: { isStatic?: boolean; acts?: boolean; range?: ServerParameter['range'] } = {},
): RdsParameter {
  return { name, type, value, description, isStatic, acts, ...(range && { range }) };
}

/** Parameters that RDS sets itself. */
const FIXED: ReadonlySet<string> = new Set([
  'archive_cleanup_command',
  'archive_command',
  'archive_library',
  'archive_mode',
  'bonjour',
  'bonjour_name',
  'config_file',
  'data_directory',
  'external_pid_file',
  'fsync',
  'full_page_writes',
  'hba_file',
  'ident_file',
  'listen_addresses',
  'port',
  'primary_conninfo',
  'primary_slot_name',
  'recovery_end_command',
  'recovery_target',
  'recovery_target_action',
  'recovery_target_inclusive',
  'recovery_target_lsn',
  'recovery_target_name',
  'recovery_target_time',
  'recovery_target_timeline',
  'recovery_target_xid',
  'restore_command',
  'ssl',
  'ssl_ca_file',
  'ssl_cert_file',
  'ssl_crl_file',
  'ssl_key_file',
  'unix_socket_directories',
  'unix_socket_group',
  'unix_socket_permissions',
  'wal_level',
]);

/** What RDS sets by a formula of the instance class, where the group says nothing. */
const DEFAULT_FORMULAS: Readonly<Record<string, string>> = {
  max_connections: 'LEAST({DBInstanceClassMemory/9531392},5000)',
  shared_buffers: '{DBInstanceClassMemory/32768}',
  effective_cache_size: '{DBInstanceClassMemory/16384}',
};

/** Extensions whose settings the server knows only once they are loaded. */
const EXTENSION_SETTING = /^(?:auto_explain|pg_prewarm|pg_stat_statements)\.[a-z_]+$/;

/** The catalogue of a family's parameters. */
export class ParameterCatalogue {
  private readonly byName: ReadonlyMap<string, ServerParameter>;

  constructor(ofPostgres: readonly ServerParameter[]) {
    this.byName = new Map([...ofPostgres, ...RDS_PARAMETERS].map((parameter) => [parameter.name, parameter]));
  }

  /**
   * Checks the value that a group is to have for a parameter.
   * @throws InvalidParameterValue, InvalidParameterCombination; NotInSandbox for what would have no effect here
   */
  check(name: string, value: string, applyMethod: string): ParameterSetting {
    const parameter = this.byName.get(name);
    if (!parameter && !EXTENSION_SETTING.test(name)) {
      throw invalidValue(`Could not find parameter with name: ${name}`);
    }
    if (FIXED.has(name)) throw invalidValue(`The parameter ${name} cannot be modified.`);
    if (isSandboxOwned(name) || RDS_PARAMETERS.some((own) => own.name === name && !own.acts)) {
      throw new NotInSandbox(`the RDS parameter ${name}`);
    }
    if (name === 'shared_preload_libraries') checkLibraries(value);
    if (isFormula(value)) checkFormula(value);
    else if (parameter) checkValue(parameter, value);
    if (applyMethod !== 'immediate' && applyMethod !== 'pending-reboot') {
      throw invalidValue(`Invalid apply method: ${applyMethod}`);
    }
    if (applyMethod === 'immediate' && parameter?.isStatic === true) {
      throw invalidCombination('cannot use immediate apply method for static parameter');
    }
    return { value, applyMethod };
  }

  /** All parameters of the family, by name, with the values that a group has. */
  describe(values: ReadonlyMap<string, ParameterSetting>): Parameter[] {
    const names = [...new Set([...this.byName.keys(), ...values.keys()])].sort();
    return names.map((name) => {
      const parameter = this.byName.get(name);
      const own = values.get(name);
      const ofRds = DEFAULT_FORMULAS[name] ?? RDS_PARAMETERS.find((rds) => rds.name === name)?.value;
      return {
        ParameterName: name,
        // RDS does not tell the defaults of the engine.
        ParameterValue: own?.value ?? ofRds,
        Description: parameter?.description,
        Source: own ? 'user' : ofRds === undefined ? 'engine-default' : 'system',
        ApplyType: parameter?.isStatic === true ? 'static' : 'dynamic',
        DataType: parameter?.type ?? 'string',
        AllowedValues: parameter && allowedValues(parameter),
        IsModifiable: !FIXED.has(name),
        ApplyMethod: own?.applyMethod ?? 'pending-reboot',
      };
    });
  }
}

function allowedValues({ type, range }: ServerParameter): string | undefined {
  if (type === 'boolean') return '0,1';
  return range && `${range.min}-${range.max}`;
}

function checkValue(parameter: ServerParameter, value: string): void {
  const { name, type, range } = parameter;
  const isNumber =
    type === 'integer' ? /^-?\d+$/.test(value) : type !== 'float' || /^-?\d+(?:\.\d+)?$/.test(value);
  const isInRange = !range || (Number(value) >= range.min && Number(value) <= range.max);
  const isRight = type === 'boolean' ? /^[01]$/.test(value) : isNumber && isInRange;
  if (isRight) return;
  throw invalidValue(
    `Invalid parameter value: ${value} for: ${name} allowed values are: ${allowedValues(parameter) ?? type}`,
  );
}

function checkLibraries(value: string): void {
  for (const library of value.split(',').map((name) => name.trim())) {
    if (!isPreloadable(library)) {
      throw new NotInSandbox(`the library ${library} in shared_preload_libraries`);
    }
  }
}
