import { randomUUID } from 'node:crypto';
import { accountIn } from '../core/account';
import type { Api, Caller, ServiceName } from '../core/api';
import { AnswerLost, ApiError, NotInSandbox } from '../core/api';
import { isJson } from '../core/json';
import { serviceModel } from '../wire/model';
import { Fatal, RuntimeError, StatesError } from './errors';
import type { Json, JsonObject } from './json';
import { isObject, member, parseJson } from './json';
import type { Resource } from './resource';
import { apiInput, taskOutput } from './sdk-shapes';
import { stepFunctionsErrorName } from './spelling';
import type { TaskReport, TaskRequest, TaskRunner } from './task';
import type { TaskTokens } from './task-tokens';

/** The AWS SDK integrations that the sandbox knows: their name in an ARN, in a signature, and before an error's name. */
const SDK_SERVICES: Readonly<Record<string, { service: ServiceName; prefix: string }>> = {
  rds: { service: 'rds', prefix: 'Rds' },
  secretsmanager: { service: 'secretsmanager', prefix: 'SecretsManager' },
  lambda: { service: 'lambda', prefix: 'Lambda' },
  sns: { service: 'sns', prefix: 'Sns' },
  sts: { service: 'sts', prefix: 'Sts' },
  eventbridge: { service: 'events', prefix: 'EventBridge' },
  sfn: { service: 'states', prefix: 'Sfn' },
  scheduler: { service: 'scheduler', prefix: 'Scheduler' },
  cloudwatch: { service: 'monitoring', prefix: 'CloudWatch' },
  ecs: { service: 'ecs', prefix: 'Ecs' },
  sqs: { service: 'sqs', prefix: 'Sqs' },
};

interface Optimised {
  readonly service: ServiceName;
  readonly operation: string;
  /** Before an error's name. */
  readonly prefix: string;
  /** In an error's text. */
  readonly client: string;
  readonly patterns: readonly string[];
  /** Members that may be given as JSON and travel as text. */
  readonly texts: readonly string[];
}

const OPTIMISED: Readonly<Record<string, Optimised>> = {
  'lambda:invoke': {
    service: 'lambda',
    operation: 'Invoke',
    prefix: 'Lambda',
    client: 'AWSLambda',
    patterns: ['request', 'waitForTaskToken'],
    texts: [],
  },
  'sns:publish': {
    service: 'sns',
    operation: 'Publish',
    prefix: 'SNS',
    client: 'AmazonSNS',
    patterns: ['request', 'waitForTaskToken'],
    texts: ['Message'],
  },
  'sqs:sendMessage': {
    service: 'sqs',
    operation: 'SendMessage',
    prefix: 'SQS',
    client: 'AmazonSQS',
    patterns: ['request', 'waitForTaskToken'],
    texts: ['MessageBody'],
  },
  'events:putEvents': {
    service: 'events',
    operation: 'PutEvents',
    prefix: 'EventBridge',
    client: 'AmazonEventBridge',
    patterns: ['request', 'waitForTaskToken'],
    texts: ['Detail'],
  },
  'states:startExecution': {
    service: 'states',
    operation: 'StartExecution',
    prefix: 'StepFunctions',
    client: 'AWSStepFunctions',
    patterns: ['request', 'sync', 'sync:2', 'waitForTaskToken'],
    texts: ['Input'],
  },
};

export interface TaskDependencies {
  readonly api: Api;
  readonly tokens: TaskTokens;
  /** The machine's role. */
  readonly roleArn: string;
  /** Resolves when an execution has ended. */
  readonly executionEnded: (executionArn: string) => Promise<void>;
}

/** Why a Resource cannot be run by the sandbox or by AWS; undefined where it can. */
export function resourceProblem(resource: Resource): 'unknown' | 'not in sandbox' | undefined {
  if (resource.kind === 'lambda') return undefined;
  if (resource.kind === 'activity') return 'not in sandbox';
  const { service, operation, pattern } = resource;
  if (service.startsWith('aws-sdk:')) {
    const known = SDK_SERVICES[service.slice('aws-sdk:'.length)];
    if (!known) return 'not in sandbox';
    if (pattern === 'sync' || pattern === 'sync:2') return 'unknown';
    if (serviceModel(known.service)?.operations.has(pascal(operation))) return undefined;
    // Of SQS only the sandbox's own operations are known here.
    return known.service === 'sqs' ? 'not in sandbox' : 'unknown';
  }
  const optimised = OPTIMISED[`${service}:${operation}`];
  if (optimised) return optimised.patterns.includes(pattern) ? undefined : 'unknown';
  return OTHER_INTEGRATIONS.has(`${service}:${operation}`) ? 'not in sandbox' : 'unknown';
}

/** Optimised integrations that AWS has and the sandbox does not. */
const OTHER_INTEGRATIONS = new Set([
  'apigateway:invoke',
  'athena:startQueryExecution',
  'athena:stopQueryExecution',
  'athena:getQueryExecution',
  'athena:getQueryResults',
  'batch:submitJob',
  'bedrock:invokeModel',
  'codebuild:startBuild',
  'codebuild:stopBuild',
  'dynamodb:getItem',
  'dynamodb:putItem',
  'dynamodb:updateItem',
  'dynamodb:deleteItem',
  'ecs:runTask',
  'eks:call',
  'eks:createCluster',
  'eks:deleteCluster',
  'eks:runJob',
  'elasticmapreduce:addStep',
  'elasticmapreduce:createCluster',
  'elasticmapreduce:terminateCluster',
  'glue:startJobRun',
  'http:invoke',
  's3:getObject',
  's3:listObjectsV2',
  'sagemaker:createTrainingJob',
  'sagemaker:createTransformJob',
]);

/** Runs tasks as calls to the sandbox's API, with the machine's role or the one of the state's Credentials. */
export class ApiTasks implements TaskRunner {
  constructor(private readonly dependencies: TaskDependencies) {}

  check({ resource }: TaskRequest): void {
    if (resource.kind === 'activity') {
      throw new RuntimeError(`The activity ${resource.arn} does not exist.`);
    }
    if (resourceProblem(resource) !== undefined) {
      throw new Fatal(
        'States.Runtime',
        `The sandbox does not implement the integration ${resource.arn}. See docs/sandbox.md for what it does.`,
      );
    }
  }

  async run(request: TaskRequest, report: TaskReport): Promise<Json> {
    const { resource } = request;
    if (resource.kind === 'lambda') return this.invokeFunction(request, resource.arn);
    if (resource.kind === 'activity') throw new RuntimeError(`The activity ${resource.arn} does not exist.`);
    if (resource.pattern === 'request') return this.request(request, resource);
    if (resource.pattern !== 'waitForTaskToken') {
      const started = request.submitted ?? (await this.request(request, resource));
      if (request.submitted === undefined) report.submitted(started);
      return this.awaitExecution(request, started, resource.pattern, report.signal);
    }
    const waiting = this.dependencies.tokens.wait(request.taskToken, () => {
      report.heartbeat();
    });
    report.signal.addEventListener('abort', () => {
      waiting.release();
    });
    // The report may come before the service has answered.
    if (request.submitted === undefined) report.submitted(await this.request(request, resource));
    const answer = await waiting.answer;
    if ('output' in answer) return answer.output;
    throw new StatesError(answer.error, answer.cause);
  }

  private async request(request: TaskRequest, resource: Resource & { kind: 'service' }): Promise<Json> {
    if (resource.service.startsWith('aws-sdk:')) return this.callSdk(request, resource);
    const optimised = OPTIMISED[`${resource.service}:${resource.operation}`];
    if (!optimised) throw new RuntimeError(`The resource ${resource.arn} is not recognized.`);
    return this.callOptimised(request, optimised, resource.arn);
  }

  private async invokeFunction(request: TaskRequest, arn: string): Promise<Json> {
    const { FunctionName, Qualifier } = splitQualifier(arn);
    const answer = await this.call(request, OPTIMISED_LAMBDA, 'Invoke', {
      FunctionName,
      ...(Qualifier !== undefined && { Qualifier }),
      Payload: Buffer.from(JSON.stringify(request.input)),
    });
    return functionResult(answer);
  }

  private async callOptimised(request: TaskRequest, optimised: Optimised, arn: string): Promise<Json> {
    const { service, operation } = optimised;
    const parameters = asTexts(request.input, optimised.texts);
    if (service === 'lambda') return this.invokeWithParameters(request, parameters);
    const model = serviceModel(service)?.operations.get(operation);
    if (!model) throw new RuntimeError(`The resource ${arn} is not recognized.`);
    const answer = await this.call(request, optimised, operation, apiInput(model.input, parameters));
    const output = taskOutput(answer, model.output);
    if (service === 'events' && isObject(output) && output['FailedEntryCount'] !== 0) {
      throw new StatesError('EventBridge.FailedEntry', JSON.stringify(output));
    }
    return service === 'events' ? output : withMetadata(output);
  }

  private async invokeWithParameters(request: TaskRequest, parameters: Json): Promise<Json> {
    const model = serviceModel('lambda')?.operations.get('Invoke');
    if (!model) throw new RuntimeError('Lambda has no Invoke.');
    const input = apiInput(model.input, parameters);
    const payload = isObject(parameters) ? member(parameters, 'Payload') : undefined;
    if (payload !== undefined) input['Payload'] = Buffer.from(JSON.stringify(payload));
    const answer = await this.call(request, OPTIMISED_LAMBDA, 'Invoke', input);
    if (input['InvocationType'] === 'Event' || input['InvocationType'] === 'DryRun') {
      return withMetadata({ Payload: '', StatusCode: Number(answer['StatusCode']) });
    }
    const Payload = functionResult(answer);
    return {
      ExecutedVersion: String(answer['ExecutedVersion']),
      Payload,
      ...metadata(),
      StatusCode: Number(answer['StatusCode']),
    };
  }

  private async callSdk(request: TaskRequest, resource: Resource & { kind: 'service' }): Promise<Json> {
    const known = SDK_SERVICES[resource.service.slice('aws-sdk:'.length)];
    const operation = pascal(resource.operation);
    const model = known && serviceModel(known.service)?.operations.get(operation);
    if (!model) throw new RuntimeError(`The resource ${resource.arn} is not recognized.`);
    const input = apiInput(model.input, request.input);
    try {
      const caller = this.callerOf(request);
      const answer = await this.dependencies.api.call(known.service, operation, input, caller);
      return taskOutput(answer, model.output);
    } catch (error) {
      if (error instanceof NotInSandbox) throw new Fatal('States.Runtime', error.message);
      if (!(error instanceof ApiError)) throw error;
      if (error instanceof AnswerLost) throw new StatesError(`${known.prefix}.${error.code}`, error.message);
      const modelled = serviceModel(known.service)?.errors.has(error.code) === true;
      throw new StatesError(
        `${known.prefix}.${modelled ? stepFunctionsErrorName(error.code) : `${known.prefix}Exception`}`,
        `${error.message} (Service: ${known.prefix}, Status Code: ${error.status}, Request ID: ${randomUUID()}) (SDK Attempt Count: 1)`,
      );
    }
  }

  private async call(
    request: TaskRequest,
    optimised: Pick<Optimised, 'service' | 'prefix' | 'client'>,
    operation: string,
    input: object,
  ): Promise<Record<string, unknown>> {
    const { service, prefix, client } = optimised;
    try {
      const caller = this.callerOf(request);
      return await this.dependencies.api.call(service, operation, input, caller);
    } catch (error) {
      if (error instanceof NotInSandbox) throw new Fatal('States.Runtime', error.message);
      if (!(error instanceof ApiError)) throw error;
      if (error instanceof AnswerLost) throw new StatesError(`${prefix}.${error.code}`, error.message);
      // What a service's model does not have (a refusal, say) comes under the name of its client: Lambda.AWSLambdaException.
      const modelled = serviceModel(service)?.errors.has(error.code) === true;
      const name = modelled ? error.code : client;
      throw new StatesError(
        `${prefix}.${name.endsWith('Exception') ? name : `${name}Exception`}`,
        `${error.message} (Service: ${client}; Status Code: ${error.status}; Error Code: ${error.code}; Request ID: ${randomUUID()}; Proxy: null)`,
      );
    }
  }

  /** @throws NotInSandbox for a role of another account */
  private callerOf({ roleArn = this.dependencies.roleArn }: TaskRequest): Caller {
    if ((accountIn(roleArn) ?? this.dependencies.api.accountId) !== this.dependencies.api.accountId)
      throw new NotInSandbox(`Credentials of a state with a role of another account (${roleArn})`);
    return { arn: roleArn };
  }

  private async awaitExecution(
    request: TaskRequest,
    started: Json,
    pattern: 'sync' | 'sync:2',
    signal: AbortSignal,
  ): Promise<Json> {
    const arn = isObject(started) ? started['ExecutionArn'] : undefined;
    const executionArn = typeof arn === 'string' ? arn : '';
    let ended = false;
    // Who waits no longer has the execution stopped, where the role may do that.
    signal.addEventListener('abort', () => {
      if (ended) return;
      this.call(request, OPTIMISED_STATES, 'StopExecution', { executionArn }).catch(() => undefined);
    });
    await this.dependencies.executionEnded(executionArn);
    ended = true;
    const described = await this.call(request, OPTIMISED_STATES, 'DescribeExecution', { executionArn });
    const result = executionResult(described, pattern === 'sync:2');
    if (described['status'] === 'SUCCEEDED') return result;
    throw new StatesError('States.TaskFailed', JSON.stringify(result));
  }
}

const OPTIMISED_LAMBDA = { service: 'lambda', prefix: 'Lambda', client: 'AWSLambda' } as const;
const OPTIMISED_STATES = {
  service: 'states',
  prefix: 'StepFunctions',
  client: 'AWSStepFunctions',
} as const;

function pascal(operation: string): string {
  return operation.charAt(0).toUpperCase() + operation.slice(1);
}

function splitQualifier(arn: string): { FunctionName: string; Qualifier?: string } {
  const parts = arn.split(':');
  const [Qualifier] = parts.slice(7);
  return Qualifier === undefined
    ? { FunctionName: arn }
    : { FunctionName: parts.slice(0, 7).join(':'), Qualifier };
}

/** What a function answered; throws what it threw. */
function functionResult(answer: Record<string, unknown>): Json {
  const payload = answer['Payload'];
  const text = payload instanceof Uint8Array ? Buffer.from(payload).toString('utf8') : '';
  if (answer['FunctionError'] !== undefined) {
    const error = isJson(text) ? parseJson(text) : null;
    const type = isObject(error) ? member(error, 'errorType') : undefined;
    if (typeof type === 'string') throw new StatesError(type, text);
    throw new StatesError(
      'Lambda.Unknown',
      `The cause could not be determined because Lambda did not return an error type. Returned payload: ${text}`,
    );
  }
  return text === '' ? null : isJson(text) ? parseJson(text) : text;
}

/** Members that were given as JSON turned into the text that the service takes, at any depth. */
function asTexts(value: Json, names: readonly string[]): Json {
  if (Array.isArray(value)) return value.map((item) => asTexts(item, names));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]): [string, Json] => {
      if (!names.includes(key)) return [key, asTexts(inner, names)];
      return [key, typeof inner === 'string' ? inner : JSON.stringify(inner)];
    }),
  );
}

function metadata(): JsonObject {
  const requestId = randomUUID();
  return {
    SdkHttpMetadata: {
      AllHttpHeaders: { 'x-amzn-RequestId': [requestId] },
      HttpHeaders: { 'x-amzn-RequestId': requestId },
      HttpStatusCode: 200,
    },
    SdkResponseMetadata: { RequestId: requestId },
  };
}

function withMetadata(output: Json): Json {
  return isObject(output) ? { ...output, ...metadata() } : output;
}

/** An execution as `states:startExecution.sync` answers it; `parsed` for `.sync:2`, which reads the texts. */
function executionResult(described: Record<string, unknown>, parsed: boolean): JsonObject {
  const json = (text: unknown): Json => {
    if (typeof text !== 'string') return null;
    return parsed && isJson(text) ? parseJson(text) : text;
  };
  const time = (value: unknown): Json => (value instanceof Date ? value.getTime() : null);
  const texts: JsonObject = {};
  for (const [name, member] of [
    ['Cause', 'cause'],
    ['Error', 'error'],
  ] as const) {
    const value = described[member];
    if (typeof value === 'string') texts[name] = value;
  }
  return {
    ...texts,
    ExecutionArn: String(described['executionArn']),
    Input: json(described['input']),
    InputDetails: { Included: true },
    Name: String(described['name']),
    ...(described['output'] !== undefined && {
      Output: json(described['output']),
      OutputDetails: { Included: true },
    }),
    StartDate: time(described['startDate']),
    StateMachineArn: String(described['stateMachineArn']),
    Status: String(described['status']),
    StopDate: time(described['stopDate']),
  };
}
