import { randomUUID } from 'node:crypto';
import type {
  CreateStateMachineInput,
  CreateStateMachineOutput,
  DeleteStateMachineInput,
  DescribeExecutionInput,
  DescribeExecutionOutput,
  DescribeStateMachineForExecutionInput,
  DescribeStateMachineForExecutionOutput,
  DescribeStateMachineInput,
  DescribeStateMachineOutput,
  ExecutionListItem,
  GetExecutionHistoryInput,
  GetExecutionHistoryOutput,
  HistoryEvent,
  ListExecutionsInput,
  ListExecutionsOutput,
  ListStateMachinesInput,
  ListStateMachinesOutput,
  ListTagsForResourceInput,
  ListTagsForResourceOutput,
  RedriveExecutionInput,
  RedriveExecutionOutput,
  SendTaskFailureInput,
  SendTaskHeartbeatInput,
  SendTaskSuccessInput,
  StartExecutionInput,
  StartExecutionOutput,
  StopExecutionInput,
  StopExecutionOutput,
  Tag,
  TagResourceInput,
  UntagResourceInput,
  UpdateStateMachineInput,
  UpdateStateMachineOutput,
  ValidateStateMachineDefinitionInput,
  ValidateStateMachineDefinitionOutput,
} from '@aws-sdk/client-sfn';
import { arn } from '../core/account';
import type { Operation, Service } from '../core/api';
import { ApiError, NotInSandbox } from '../core/api';
import type { SandboxContext } from '../core/context';
import { Executions } from './executions';
import type { ExecutionChange, ExecutionRecord, SavedExecutions } from './executions';
import type { Json } from './json';
import { parseJson } from './json';
import type { MachineRevision, StateMachineRecord } from './machine';
import { page } from './paging';
import { PAYLOAD_LIMIT } from './state';
import { TaskTokens, type SavedTokens } from './task-tokens';
import { notInSandbox, validateDefinition } from './validate';

interface SavedStates {
  readonly machines: readonly StateMachineRecord[];
  readonly executions: SavedExecutions;
  readonly tokens: SavedTokens;
}

/** Step Functions: state machines of type STANDARD, their executions and task tokens. */
export class StepFunctionsService implements Service {
  readonly name = 'states';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly machines = new Map<string, StateMachineRecord>();
  private readonly tokens = new TaskTokens();
  private readonly executions: Executions;

  constructor(private readonly context: SandboxContext) {
    this.executions = new Executions(context, this.tokens);
    context.keep<SavedStates>('states', {
      save: () => ({
        machines: [...this.machines.values()],
        executions: this.executions.save(),
        tokens: this.tokens.save(),
      }),
      load: ({ machines, executions, tokens }) => {
        for (const machine of machines) this.machines.set(machine.arn, machine);
        this.executions.load(executions);
        this.tokens.load(tokens);
      },
      resume: async () => {
        this.executions.resume();
        for (const machine of this.machines.values()) if (machine.deleting) this.goWhenAllEnded(machine);
        // Tasks that wait for their token wait again before anybody can report on them.
        await new Promise(setImmediate);
      },
    });
    this.operations = {
      CreateStateMachine: this.createStateMachine,
      UpdateStateMachine: this.updateStateMachine,
      DescribeStateMachine: this.describeStateMachine,
      DescribeStateMachineForExecution: this.describeStateMachineForExecution,
      ListStateMachines: this.listStateMachines,
      DeleteStateMachine: this.deleteStateMachine,
      ValidateStateMachineDefinition: this.validateStateMachineDefinition,
      StartExecution: this.startExecution,
      DescribeExecution: this.describeExecution,
      ListExecutions: this.listExecutions,
      GetExecutionHistory: this.getExecutionHistory,
      StopExecution: this.stopExecution,
      RedriveExecution: this.redriveExecution,
      SendTaskSuccess: this.sendTaskSuccess,
      SendTaskFailure: this.sendTaskFailure,
      SendTaskHeartbeat: this.sendTaskHeartbeat,
      TagResource: this.tagResource,
      UntagResource: this.untagResource,
      ListTagsForResource: this.listTagsForResource,
    };
  }

  /** Calls `listener` for every event of every execution, as it is written. Returns a function that ends it. */
  onHistoryEvent(listener: (executionArn: string, event: HistoryEvent) => void): () => void {
    return this.executions.onHistoryEvent(listener);
  }

  /** Calls `listener` when an execution starts, is redriven and ends. Returns a function that ends it. */
  onExecution(listener: (execution: ExecutionChange) => void): () => void {
    return this.executions.onChange(listener);
  }

  /** Aborts what still runs, without waiting for its tasks. */
  async stop(): Promise<void> {
    await this.executions.stop();
  }

  private readonly createStateMachine = async (
    input: CreateStateMachineInput,
  ): Promise<CreateStateMachineOutput> => {
    const { name = '', definition = '', roleArn = '', type = 'STANDARD', tags = [] } = input;
    checkName(name);
    checkRole(roleArn);
    checkDefinition(definition, type);
    if (type === 'EXPRESS') throw new NotInSandbox('state machines of type EXPRESS');
    refuseUnsupported(input);
    refuseUnsupportedStates(definition);
    const stateMachineArn = arn(this.context.account, 'states', `stateMachine:${name}`);
    const existing = this.machines.get(stateMachineArn);
    if (existing?.deleting) {
      throw new ApiError('StateMachineDeleting', `State Machine Deleting: '${stateMachineArn}'`);
    }
    if (existing) {
      const same =
        existing.current.definition === definition &&
        existing.current.roleArn === roleArn &&
        sameJson(existing.current.loggingConfiguration, input.loggingConfiguration) &&
        sameJson(existing.current.tracingConfiguration, input.tracingConfiguration);
      if (!same) {
        throw new ApiError('StateMachineAlreadyExists', `State Machine Already Exists: '${stateMachineArn}'`);
      }
      return { stateMachineArn, creationDate: existing.creationDate };
    }
    const creationDate = this.context.clock.now();
    this.machines.set(stateMachineArn, {
      arn: stateMachineArn,
      name,
      creationDate,
      current: {
        id: randomUUID(),
        arn: stateMachineArn,
        name,
        definition,
        roleArn,
        updateDate: creationDate,
        revisionId: undefined,
        loggingConfiguration: input.loggingConfiguration,
        tracingConfiguration: input.tracingConfiguration,
      },
      tags: Object.fromEntries(tags.map(({ key = '', value = '' }) => [key, value])),
      deleting: false,
    });
    return { stateMachineArn, creationDate };
  };

  private readonly updateStateMachine = async (
    input: UpdateStateMachineInput,
  ): Promise<UpdateStateMachineOutput> => {
    const machine = this.machine(input.stateMachineArn);
    refuseUnsupported(input);
    const { definition, roleArn, loggingConfiguration, tracingConfiguration } = input;
    if (
      definition === undefined &&
      roleArn === undefined &&
      loggingConfiguration === undefined &&
      tracingConfiguration === undefined
    ) {
      throw new ApiError(
        'MissingRequiredParameter',
        'Either the definition, the role ARN, the LoggingConfiguration, the EncryptionConfiguration or the TracingConfiguration must be specified',
      );
    }
    if (roleArn !== undefined) checkRole(roleArn);
    if (definition !== undefined) {
      checkDefinition(definition, 'STANDARD');
      refuseUnsupportedStates(definition);
    }
    const updateDate = this.context.clock.now();
    const revisionId = randomUUID();
    machine.current = {
      ...machine.current,
      id: randomUUID(),
      ...(definition !== undefined && { definition }),
      ...(roleArn !== undefined && { roleArn }),
      ...(loggingConfiguration !== undefined && { loggingConfiguration }),
      ...(tracingConfiguration !== undefined && { tracingConfiguration }),
      updateDate,
      revisionId,
    };
    return { updateDate, revisionId };
  };

  private readonly describeStateMachine = async (
    input: DescribeStateMachineInput,
  ): Promise<DescribeStateMachineOutput> => {
    const machine = this.machine(input.stateMachineArn);
    return {
      stateMachineArn: machine.arn,
      name: machine.name,
      status: machine.deleting ? 'DELETING' : 'ACTIVE',
      definition: machine.current.definition,
      roleArn: machine.current.roleArn,
      type: 'STANDARD',
      creationDate: machine.creationDate,
      ...configuration(machine.current),
    };
  };

  private readonly describeStateMachineForExecution = async (
    input: DescribeStateMachineForExecutionInput,
  ): Promise<DescribeStateMachineForExecutionOutput> => {
    const { machine } = this.executions.find(input.executionArn);
    return {
      stateMachineArn: machine.arn,
      name: machine.name,
      definition: machine.definition,
      roleArn: machine.roleArn,
      updateDate: machine.updateDate,
      ...configuration(machine),
    };
  };

  private readonly listStateMachines = async (
    input: ListStateMachinesInput,
  ): Promise<ListStateMachinesOutput> => {
    const { items, nextToken } = page([...this.machines.values()], input);
    return {
      stateMachines: items.map((machine) => ({
        stateMachineArn: machine.arn,
        name: machine.name,
        type: 'STANDARD',
        creationDate: machine.creationDate,
      })),
      ...(nextToken !== undefined && { nextToken }),
    };
  };

  private readonly deleteStateMachine = async (input: DeleteStateMachineInput): Promise<object> => {
    const machine = this.machines.get(arnOf(input.stateMachineArn, 'stateMachine'));
    if (!machine) return {};
    machine.deleting = true;
    this.goWhenAllEnded(machine);
    return {};
  };

  private goWhenAllEnded(machine: StateMachineRecord): void {
    void this.executions.allEnded(machine.arn).then(() => {
      if (this.machines.get(machine.arn) === machine) this.machines.delete(machine.arn);
    });
  }

  private readonly validateStateMachineDefinition = async (
    input: ValidateStateMachineDefinitionInput,
  ): Promise<ValidateStateMachineDefinitionOutput> => {
    const diagnostics = validateDefinition(input.definition ?? '', input.type);
    const most = input.maxResults === undefined || input.maxResults === 0 ? 100 : input.maxResults;
    return {
      result: diagnostics.some(({ severity }) => severity === 'ERROR') ? 'FAIL' : 'OK',
      diagnostics: diagnostics.slice(0, most),
      truncated: diagnostics.length > most,
    };
  };

  private readonly startExecution = async (input: StartExecutionInput): Promise<StartExecutionOutput> => {
    const machine = this.machine(input.stateMachineArn);
    if (machine.deleting) {
      throw new ApiError('StateMachineDeleting', `State Machine Deleting: '${machine.arn}'`);
    }
    const { name = randomUUID(), input: text = '{}' } = input;
    checkName(name);
    if (Buffer.byteLength(text) > PAYLOAD_LIMIT) {
      throw new ApiError(
        'ValidationException',
        "1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less than or equal to 262144",
      );
    }
    const data = readInput(text);
    const executionArn = `${machine.arn.replace(':stateMachine:', ':execution:')}:${name}`;
    const existing = this.executions.get(executionArn);
    if (existing) {
      if (existing.status !== 'RUNNING' || existing.input !== text) {
        throw new ApiError('ExecutionAlreadyExists', `Execution Already Exists: '${executionArn}'`);
      }
      return { executionArn, startDate: existing.startDate };
    }
    const record = this.executions.start({
      arn: executionArn,
      name,
      machine: machine.current,
      input: text,
      data,
    });
    return { executionArn, startDate: record.startDate };
  };

  private readonly describeExecution = async (
    input: DescribeExecutionInput,
  ): Promise<DescribeExecutionOutput> => {
    const record = this.executions.find(input.executionArn);
    const withData = input.includedData !== 'METADATA_ONLY';
    const redrivable = this.executions.redrivable(record);
    return {
      ...listItem(record),
      ...(withData && { input: record.input, inputDetails: { included: true } }),
      ...(withData &&
        record.output !== undefined && { output: record.output, outputDetails: { included: true } }),
      ...(record.error !== undefined && { error: record.error }),
      ...(record.cause !== undefined && { cause: record.cause }),
      redriveStatus: redrivable === true ? 'REDRIVABLE' : 'NOT_REDRIVABLE',
      ...(redrivable !== true && { redriveStatusReason: redrivable }),
    };
  };

  private readonly listExecutions = async (input: ListExecutionsInput): Promise<ListExecutionsOutput> => {
    if (input.mapRunArn !== undefined) throw new NotInSandbox('map runs (Distributed Map)');
    const machine = this.machine(input.stateMachineArn);
    const { statusFilter, redriveFilter } = input;
    const matching = this.executions
      .of(machine.arn)
      .filter((record) => statusFilter === undefined || record.status === statusFilter)
      .filter(
        (record) => redriveFilter === undefined || record.redriveCount > 0 === (redriveFilter === 'REDRIVEN'),
      )
      .reverse();
    const { items, nextToken } = page(matching, input);
    return { executions: items.map(listItem), ...(nextToken !== undefined && { nextToken }) };
  };

  private readonly getExecutionHistory = async (
    input: GetExecutionHistoryInput,
  ): Promise<GetExecutionHistoryOutput> => {
    const { events } = this.executions.find(input.executionArn);
    if (input.includeExecutionData === false)
      throw new NotInSandbox('GetExecutionHistory with includeExecutionData false');
    const { items, nextToken } = page(input.reverseOrder === true ? [...events].reverse() : events, input);
    return { events: items, ...(nextToken !== undefined && { nextToken }) };
  };

  private readonly stopExecution = async (input: StopExecutionInput): Promise<StopExecutionOutput> => {
    const record = this.executions.find(input.executionArn);
    await this.executions.abort(record, input.error, input.cause);
    return { stopDate: record.stopDate };
  };

  private readonly redriveExecution = async (
    input: RedriveExecutionInput,
  ): Promise<RedriveExecutionOutput> => {
    const record = this.executions.find(input.executionArn);
    const redrivable = this.executions.redrivable(record);
    if (redrivable !== true) {
      throw new ApiError(
        'ExecutionNotRedrivable',
        `Execution ${record.arn} is not redrivable: ${redrivable}`,
      );
    }
    return { redriveDate: this.executions.redrive(record) };
  };

  private readonly sendTaskSuccess = async (input: SendTaskSuccessInput): Promise<object> => {
    let output: Json;
    try {
      output = parseJson(input.output ?? '');
    } catch (error) {
      throw new ApiError(
        'InvalidOutput',
        `Invalid Output: '${error instanceof Error ? error.message : String(error)}'`,
      );
    }
    this.tokens.report(input.taskToken ?? '', { output });
    return {};
  };

  private readonly sendTaskFailure = async (input: SendTaskFailureInput): Promise<object> => {
    this.tokens.report(input.taskToken ?? '', { error: input.error, cause: input.cause });
    return {};
  };

  private readonly sendTaskHeartbeat = async (input: SendTaskHeartbeatInput): Promise<object> => {
    this.tokens.heartbeat(input.taskToken ?? '');
    return {};
  };

  private readonly tagResource = async (input: TagResourceInput): Promise<object> => {
    const { tags } = this.tagged(input.resourceArn);
    for (const { key = '', value = '' } of input.tags ?? []) tags[key] = value;
    return {};
  };

  private readonly untagResource = async (input: UntagResourceInput): Promise<object> => {
    const machine = this.tagged(input.resourceArn);
    const removed = new Set(input.tagKeys);
    machine.tags = Object.fromEntries(Object.entries(machine.tags).filter(([key]) => !removed.has(key)));
    return {};
  };

  private readonly listTagsForResource = async (
    input: ListTagsForResourceInput,
  ): Promise<ListTagsForResourceOutput> => {
    const { tags } = this.tagged(input.resourceArn);
    return { tags: Object.entries(tags).map(([key, value]): Tag => ({ key, value })) };
  };

  private machine(given: string | undefined): StateMachineRecord {
    const machine = this.machines.get(arnOf(given, 'stateMachine'));
    if (machine) return machine;
    throw new ApiError('StateMachineDoesNotExist', `State Machine Does Not Exist: '${given ?? ''}'`);
  }

  private tagged(given: string | undefined): StateMachineRecord {
    const machine = this.machines.get(given ?? '');
    if (machine) return machine;
    throw new ApiError('ResourceNotFound', `Resource not found: '${given ?? ''}'`);
  }
}

function arnOf(given: string | undefined, type: 'stateMachine'): string {
  const text = given ?? '';
  if (!text.startsWith('arn:')) {
    throw new ApiError('InvalidArn', `Invalid Arn: 'Invalid ARN prefix: ${text}'`);
  }
  if (text.split(':')[5] !== type) {
    throw new ApiError('InvalidArn', `Invalid Arn: 'Resource type not valid in this context: ${text}'`);
  }
  return text;
}

function checkName(name: string): void {
  // eslint-disable-next-line no-control-regex -- AWS forbids exactly these.
  const forbidden = /[\s<>{}[\]?*"#%\\^|~`$&,;:/\u0000-\u001f\u007f-\u009f]/;
  if (name.length === 0 || name.length > 80 || forbidden.test(name)) {
    throw new ApiError('InvalidName', `Invalid Name: '${name}'`);
  }
}

function checkRole(roleArn: string): void {
  if (!/^arn:[^:]*:iam::\d{12}:role\/.+/.test(roleArn)) {
    throw new ApiError('InvalidArn', `Invalid Role Arn: '${roleArn}'`);
  }
}

function checkDefinition(definition: string, type: 'STANDARD' | 'EXPRESS'): void {
  const [first] = validateDefinition(definition, type).filter(({ severity }) => severity === 'ERROR');
  if (!first) return;
  const { code = '', message = '', location } = first;
  throw new ApiError(
    'InvalidDefinition',
    `Invalid State Machine Definition: '${code}: ${message}${location === undefined || code === 'INVALID_JSON_DESCRIPTION' ? '' : ` at ${location}`}'`,
  );
}

function refuseUnsupportedStates(definition: string): void {
  const [first] = notInSandbox(definition);
  if (first !== undefined) throw new NotInSandbox(`${first} in state machines`);
}

function refuseUnsupported(input: CreateStateMachineInput | UpdateStateMachineInput): void {
  if (input.publish === true) throw new NotInSandbox('versions of state machines (publish)');
  const encryption = input.encryptionConfiguration;
  if (encryption !== undefined && encryption.type !== 'AWS_OWNED_KEY') {
    throw new NotInSandbox(`encryptionConfiguration.type ${encryption.type ?? ''}`);
  }
}

function configuration(
  machine: MachineRevision,
): Pick<DescribeStateMachineOutput, 'loggingConfiguration' | 'tracingConfiguration' | 'revisionId'> {
  return {
    loggingConfiguration: machine.loggingConfiguration ?? { level: 'OFF', includeExecutionData: false },
    tracingConfiguration: machine.tracingConfiguration ?? { enabled: false },
    ...(machine.revisionId !== undefined && { revisionId: machine.revisionId }),
  };
}

function sameJson(left: unknown, right: unknown): boolean {
  return JSON.stringify(left ?? null) === JSON.stringify(right ?? null);
}

function readInput(text: string): Json {
  try {
    return parseJson(text);
  } catch (error) {
    throw new ApiError(
      'InvalidExecutionInput',
      `Invalid State Machine Execution Input: '${error instanceof Error ? error.message : String(error)}'`,
    );
  }
}

/** What a list says of an execution, and a description too. */
function listItem(record: ExecutionRecord): ExecutionListItem {
  return {
    executionArn: record.arn,
    stateMachineArn: record.machine.arn,
    name: record.name,
    status: record.status,
    startDate: record.startDate,
    ...(record.stopDate && { stopDate: record.stopDate }),
    redriveCount: record.redriveCount,
    ...(record.redriveDate && { redriveDate: record.redriveDate }),
  };
}
