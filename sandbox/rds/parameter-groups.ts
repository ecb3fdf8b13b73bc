import type {
  CreateDBParameterGroupMessage,
  DBParameterGroup,
  DeleteDBParameterGroupMessage,
  DescribeDBParameterGroupsMessage,
  DescribeDBParametersMessage,
  ModifyDBParameterGroupMessage,
  ResetDBParameterGroupMessage,
} from '@aws-sdk/client-rds';
import { ApiError, NotInSandbox, type Operation } from '../core/api';
import type { ServerOptions } from '../postgres/contract';
import { postgresParameters } from '../postgres/settings';
import { defaultParameterGroup } from './defaults';
import { invalidValue, parameterGroupNotFound } from './errors';
import { evaluateFormula, isFormula } from './formulas';
import { newIdentifier, required } from './identifiers';
import { operation } from './operation';
import { page } from './paging';
import { ParameterCatalogue } from './parameters';
import { planOnInstance } from './plan-on-instance';
import type { Plan, Rds } from './rds';
import type { InstanceRecord, ParameterGroupRecord, ParameterSetting } from './state';
import { givenTags } from './tags';

const MOST_PARAMETERS_PER_CALL = 20;

/** @throws DBParameterGroupNotFoundFault */
export function parameterGroup(rds: Rds, name: string): ParameterGroupRecord {
  const group = rds.state.parameterGroups.get(name.toLowerCase());
  if (!group) throw parameterGroupNotFound(name);
  return group;
}

/** The group that every instance has which names none. */
export function addDefaultParameterGroup(rds: Rds, major: string): void {
  const name = defaultParameterGroup(major);
  rds.state.parameterGroups.set(name, {
    name,
    family: `postgres${major}`,
    description: `Default parameter group for postgres${major}`,
    parameters: new Map(),
    tags: [],
  });
}

/** The values of a group, by parameter name. */
export function groupParameters({ parameters }: ParameterGroupRecord): Readonly<Record<string, string>> {
  return Object.fromEntries([...parameters].map(([name, { value }]) => [name, value]));
}

/** How the server of an instance is set up: by its parameters, and by where its WAL goes (nowhere with retention 0). */
export function serverSettings(
  rds: Rds,
  { dbiResourceId, settings }: Pick<InstanceRecord, 'dbiResourceId' | 'settings'>,
  values: Readonly<Record<string, string>>,
): Pick<ServerOptions, 'parameters' | 'forceTls'> & { walArchive?: string } {
  const evaluated: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    evaluated[name] = isFormula(value) ? String(evaluateFormula(value, settings)) : value;
  }
  const archive = rds.state.automatedBackups.get(dbiResourceId)?.walArchive;
  return {
    ...postgresParameters(evaluated),
    ...(archive !== undefined && { walArchive: rds.path(archive) }),
  };
}

/** Brings changed values of a group to an instance: those that wait for no reboot. */
export interface ParametersTask {
  readonly do: 'apply-parameters';
  readonly dbiResourceId: string;
  readonly immediate: Readonly<Record<string, string>>;
  /** Some of the changed values wait for a reboot. */
  waits: boolean;
}

/**
 * Brings changed values to the instances that use the group: at once where the apply method says so, the rest waits for a
 * reboot.
 */
function propagate(
  rds: Rds,
  group: ParameterGroupRecord,
  changed: ReadonlyMap<string, ParameterSetting>,
): void {
  const immediate = [...changed].filter(([, { applyMethod }]) => applyMethod === 'immediate');
  for (const instance of rds.state.instances.values()) {
    if (instance.settings.parameterGroupName !== group.name || instance.status === 'deleting') continue;
    // An instance that waits for a reboot takes everything then.
    if (instance.parameterApplyStatus === 'pending-reboot') continue;
    rds.begin({
      do: 'apply-parameters',
      dbiResourceId: instance.dbiResourceId,
      immediate: Object.fromEntries(immediate.map(([name, { value }]) => [name, value])),
      waits: immediate.length < changed.size,
    });
  }
}

export function planParameters(rds: Rds, task: ParametersTask): Plan {
  const { dbiResourceId, immediate } = task;
  const plan = planOnInstance(
    rds,
    dbiResourceId,
    { kind: 'applyGroup' },
    {
      work: async (instance) => {
        if (Object.keys(immediate).length === 0 || !rds.servers.has(dbiResourceId)) return;
        const values = { ...instance.appliedParameters, ...immediate };
        const { pendingReboot } = await rds.server(instance).configure(serverSettings(rds, instance, values));
        instance.appliedParameters = values;
        task.waits ||= pendingReboot;
      },
      done: (instance) => {
        instance.parameterApplyStatus = task.waits ? 'pending-reboot' : 'in-sync';
      },
      failed: (instance) => {
        instance.parameterApplyStatus = 'failed-to-apply';
      },
    },
  );
  return {
    ...plan,
    begun: () => {
      const instance = rds.byResourceId(dbiResourceId);
      if (instance) instance.parameterApplyStatus = 'applying';
    },
  };
}

function described(rds: Rds, group: ParameterGroupRecord): DBParameterGroup {
  return {
    DBParameterGroupName: group.name,
    DBParameterGroupFamily: group.family,
    Description: group.description,
    DBParameterGroupArn: rds.arn(`pg:${group.name}`),
  };
}

function changeable(rds: Rds, name: string | undefined): ParameterGroupRecord {
  const given = required(name, 'DBParameterGroupName');
  if (given.startsWith('default.')) {
    throw invalidValue(`The parameter DBParameterGroupName is not valid: ${given} is a default group.`);
  }
  return parameterGroup(rds, given);
}

export function parameterGroupOperations(rds: Rds): Record<string, Operation> {
  const { state } = rds;
  const catalogue = new ParameterCatalogue(rds.postgres.parameters);
  return {
    ...operation<CreateDBParameterGroupMessage>(
      'CreateDBParameterGroup',
      ['DBParameterGroupName', 'DBParameterGroupFamily', 'Description', 'Tags'],
      (input) => {
        const name = newIdentifier(input.DBParameterGroupName, 'DBParameterGroupName', 255);
        const family = required(input.DBParameterGroupFamily, 'DBParameterGroupFamily');
        if (state.parameterGroups.has(name)) {
          throw new ApiError('DBParameterGroupAlreadyExistsFault', `Parameter group ${name} already exists`);
        }
        if (![...state.parameterGroups.values()].some((group) => group.family === family)) {
          throw new NotInSandbox(`RDS parameter group family ${family}`);
        }
        const group: ParameterGroupRecord = {
          name,
          family,
          description: required(input.Description, 'Description'),
          parameters: new Map(),
          tags: givenTags(input.Tags),
        };
        state.parameterGroups.set(name, group);
        return { DBParameterGroup: described(rds, group) };
      },
    ),
    ...operation<ModifyDBParameterGroupMessage>(
      'ModifyDBParameterGroup',
      ['DBParameterGroupName', 'Parameters'],
      (input) => {
        const group = changeable(rds, input.DBParameterGroupName);
        const parameters = input.Parameters ?? [];
        if (parameters.length === 0 || parameters.length > MOST_PARAMETERS_PER_CALL) {
          throw invalidValue(`Between 1 and ${MOST_PARAMETERS_PER_CALL} parameters can be modified at once.`);
        }
        const changed = new Map(
          parameters.map(({ ParameterName, ParameterValue, ApplyMethod }) => {
            const name = required(ParameterName, 'ParameterName');
            const setting = catalogue.check(
              name,
              required(ParameterValue, 'ParameterValue'),
              required(ApplyMethod, 'ApplyMethod'),
            );
            return [name, setting];
          }),
        );
        for (const [name, setting] of changed) group.parameters.set(name, setting);
        propagate(rds, group, changed);
        return { DBParameterGroupName: group.name };
      },
    ),
    ...operation<ResetDBParameterGroupMessage>(
      'ResetDBParameterGroup',
      ['DBParameterGroupName', 'ResetAllParameters', 'Parameters'],
      (input) => {
        const group = changeable(rds, input.DBParameterGroupName);
        const named = (input.Parameters ?? []).flatMap(({ ParameterName }) => ParameterName ?? []);
        for (const name of input.ResetAllParameters ? [...group.parameters.keys()] : named) {
          group.parameters.delete(name);
        }
        for (const instance of state.instances.values()) {
          if (instance.settings.parameterGroupName === group.name) {
            instance.parameterApplyStatus = 'pending-reboot';
          }
        }
        return { DBParameterGroupName: group.name };
      },
    ),
    ...operation<DescribeDBParameterGroupsMessage>(
      'DescribeDBParameterGroups',
      ['DBParameterGroupName', 'MaxRecords', 'Marker'],
      (input) => {
        const name = input.DBParameterGroupName;
        const groups = name === undefined ? [...state.parameterGroups.values()] : [parameterGroup(rds, name)];
        const { items, Marker } = page(groups, input);
        return { DBParameterGroups: items.map((group) => described(rds, group)), Marker };
      },
    ),
    ...operation<DescribeDBParametersMessage>(
      'DescribeDBParameters',
      ['DBParameterGroupName', 'Source', 'MaxRecords', 'Marker'],
      (input) => {
        const group = parameterGroup(rds, required(input.DBParameterGroupName, 'DBParameterGroupName'));
        const all = catalogue
          .describe(group.parameters)
          .filter(({ Source }) => input.Source === undefined || Source === input.Source);
        const { items, Marker } = page(all, input);
        return { Parameters: items, Marker };
      },
    ),
    ...operation<DeleteDBParameterGroupMessage>(
      'DeleteDBParameterGroup',
      ['DBParameterGroupName'],
      (input) => {
        const group = changeable(rds, input.DBParameterGroupName);
        const user = [...state.instances.values()].find(
          ({ settings }) => settings.parameterGroupName === group.name,
        );
        if (user) {
          throw new ApiError(
            'InvalidDBParameterGroupStateFault',
            'One or more database instances are still members of this parameter group, so the group cannot be deleted',
          );
        }
        state.parameterGroups.delete(group.name);
        return {};
      },
    ),
  };
}
