import { randomUUID } from 'node:crypto';
import type {
  ContainerDefinition,
  CreateClusterRequest,
  CreateServiceRequest,
  DeleteServiceRequest,
  DescribeClustersRequest,
  DescribeServicesRequest,
  DescribeTaskDefinitionRequest,
  DescribeTasksRequest,
  ListServicesRequest,
  ListTasksRequest,
  RegisterTaskDefinitionRequest,
  Service as ServiceAnswer,
  StopTaskRequest,
  Task as TaskAnswer,
  UpdateServiceRequest,
} from '@aws-sdk/client-ecs';
import { z } from 'zod';
import { arn } from '../core/account';
import { ApiError, NotInSandbox, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import { TaskProcess } from './task';

interface TaskDefinition {
  readonly arn: string;
  readonly family: string;
  readonly revision: number;
  readonly executionRoleArn: string | undefined;
  readonly container: ContainerDefinition;
}

interface Deployment {
  readonly id: string;
  readonly taskDefinition: string;
  status: 'PRIMARY' | 'ACTIVE';
  rolloutState: 'IN_PROGRESS' | 'COMPLETED';
  readonly createdAt: Date;
  updatedAt: Date;
}

interface EcsService {
  readonly arn: string;
  readonly name: string;
  readonly cluster: string;
  readonly createdAt: Date;
  desiredCount: number;
  /** The newest first. */
  deployments: Deployment[];
  events: { readonly id: string; readonly createdAt: Date; readonly message: string }[];
}

interface Task {
  readonly arn: string;
  readonly cluster: string;
  readonly service: string;
  readonly deployment: string;
  readonly taskDefinition: string;
  readonly createdAt: Date;
  status: 'PROVISIONING' | 'RUNNING' | 'STOPPED';
  stoppedReason: string | undefined;
  exitCode: number | undefined;
}

interface State {
  readonly clusters: Set<string>;
  readonly definitions: Map<string, TaskDefinition>;
  readonly services: Map<string, EcsService>;
  tasks: Task[];
}

const SERVICE_MEMBERS = [
  'cluster',
  'serviceName',
  'taskDefinition',
  'desiredCount',
  'launchType',
  'networkConfiguration',
  'clientToken',
];
const UPDATE_MEMBERS = ['cluster', 'service', 'taskDefinition', 'desiredCount', 'forceNewDeployment'];
const CONTAINER_MEMBERS = [
  'name',
  'image',
  'command',
  'entryPoint',
  'environment',
  'secrets',
  'essential',
  'memory',
  'cpu',
  'logConfiguration',
  'portMappings',
];

const KEPT_LINES = 1000;
/** How long a task takes to be placed and started on the sandbox's clock, in milliseconds. */
const START_TIME = 20_000;
/** A task that ended is started again after this long. */
const RESTART_PAUSE = 10_000;

/**
 * ECS, as far as an application has to be restarted after a recovery: a task is a process, the command of its only container;
 * images are not run. A deployment starts new tasks and then stops the old ones.
 */
export class EcsServiceApi implements Service {
  readonly name = 'ecs';
  readonly operations: Readonly<Record<string, Operation>>;
  private state: State = { clusters: new Set(), definitions: new Map(), services: new Map(), tasks: [] };
  private readonly processes = new Map<string, TaskProcess>();
  private readonly outputs = new Map<string, string[]>();
  private stopped = false;

  constructor(private readonly context: SandboxContext) {
    this.operations = {
      CreateCluster: async (input: CreateClusterRequest) => this.createCluster(input),
      DescribeClusters: async (input: DescribeClustersRequest) => this.describeClusters(input),
      RegisterTaskDefinition: async (input: RegisterTaskDefinitionRequest) => this.register(input),
      DescribeTaskDefinition: async (input: DescribeTaskDefinitionRequest) => ({
        taskDefinition: describedDefinition(this.definition(input.taskDefinition)),
      }),
      CreateService: async (input: CreateServiceRequest) => this.createService(input),
      UpdateService: async (input: UpdateServiceRequest) => this.updateService(input),
      DeleteService: async (input: DeleteServiceRequest) => this.deleteService(input),
      DescribeServices: async (input: DescribeServicesRequest) => this.describeServices(input),
      ListServices: async (input: ListServicesRequest) => ({
        serviceArns: [...this.state.services.values()]
          .filter(({ cluster }) => cluster === nameOf(input.cluster))
          .map((service) => service.arn),
      }),
      ListTasks: async (input: ListTasksRequest) => this.listTasks(input),
      DescribeTasks: async (input: DescribeTasksRequest) => this.describeTasks(input),
      StopTask: async (input: StopTaskRequest) => this.stopTask(input),
    };
    context.keep('ecs', {
      save: () => this.state,
      load: (state: State) => {
        this.state = state;
      },
      // The processes ended with the sandbox: what ran is started anew.
      resume: async () => {
        for (const task of this.state.tasks) if (task.status !== 'STOPPED') this.launchLater(task);
      },
    });
  }

  /** The last lines that a task has printed. */
  outputOf(taskArn: string): readonly string[] {
    return this.outputs.get(taskArn) ?? [];
  }

  async stop(): Promise<void> {
    this.stopped = true;
    for (const process of this.processes.values()) process.kill();
    await Promise.all([...this.processes.values()].map(async ({ ended }) => ended));
  }

  private createCluster(input: CreateClusterRequest): object {
    const name = input.clusterName ?? 'default';
    this.state.clusters.add(name);
    return { cluster: this.describedCluster(name) };
  }

  private describeClusters(input: DescribeClustersRequest): object {
    const names = (input.clusters ?? ['default']).map(nameOf);
    return {
      clusters: names
        .filter((name) => this.state.clusters.has(name))
        .map((name) => this.describedCluster(name)),
      failures: names
        .filter((name) => !this.state.clusters.has(name))
        .map((name) => ({ arn: this.arnOf(`cluster/${name}`), reason: 'MISSING' })),
    };
  }

  private describedCluster(name: string): object {
    return { clusterArn: this.arnOf(`cluster/${name}`), clusterName: name, status: 'ACTIVE' };
  }

  private register(input: RegisterTaskDefinitionRequest): object {
    const [container, ...others] = input.containerDefinitions ?? [];
    if (!container || others.length > 0)
      throw new NotInSandbox('task definitions with other than one container');
    refuseOthers('RegisterTaskDefinition: containerDefinitions', container, CONTAINER_MEMBERS);
    if ([...(container.entryPoint ?? []), ...(container.command ?? [])].length === 0)
      throw new NotInSandbox('containers without a command: their images are not run');
    const family = input.family ?? '';
    const revision = [...this.state.definitions.values()].filter((each) => each.family === family).length + 1;
    const definition: TaskDefinition = {
      arn: this.arnOf(`task-definition/${family}:${revision}`),
      family,
      revision,
      executionRoleArn: input.executionRoleArn,
      container,
    };
    this.state.definitions.set(definition.arn, definition);
    return { taskDefinition: describedDefinition(definition) };
  }

  private createService(input: CreateServiceRequest): object {
    refuseOthers('CreateService', input, SERVICE_MEMBERS);
    const cluster = this.cluster(input.cluster);
    const name = input.serviceName ?? '';
    const serviceArn = this.arnOf(`service/${cluster}/${name}`);
    if (this.state.services.has(serviceArn))
      throw new ApiError('InvalidParameterException', 'Creation of service was not idempotent.');
    const definition = this.definition(input.taskDefinition);
    const service: EcsService = {
      arn: serviceArn,
      name,
      cluster,
      createdAt: this.now(),
      desiredCount: input.desiredCount ?? 1,
      deployments: [],
      events: [],
    };
    this.state.services.set(serviceArn, service);
    this.deploy(service, definition.arn);
    return { service: this.described(service) };
  }

  private updateService(input: UpdateServiceRequest): object {
    refuseOthers('UpdateService', input, UPDATE_MEMBERS);
    const service = this.find(input.service, input.cluster);
    const current = service.deployments[0]?.taskDefinition;
    const wanted = input.taskDefinition === undefined ? current : this.definition(input.taskDefinition).arn;
    if (input.desiredCount !== undefined) service.desiredCount = input.desiredCount;
    if (input.forceNewDeployment === true || wanted !== current) this.deploy(service, wanted ?? '');
    else this.balance(service);
    return { service: this.described(service) };
  }

  private async deleteService(input: DeleteServiceRequest): Promise<object> {
    const service = this.find(input.service, input.cluster);
    if (service.desiredCount > 0 && input.force !== true)
      throw new ApiError(
        'InvalidParameterException',
        'The service cannot be stopped while it is scaled above 0.',
      );
    service.desiredCount = 0;
    this.state.services.delete(service.arn);
    await Promise.all(this.tasksOf(service).map(async (task) => this.end(task, 'Service deleted')));
    return { service: this.described(service) };
  }

  private describeServices(input: DescribeServicesRequest): object {
    const cluster = this.cluster(input.cluster);
    const arns = (input.services ?? []).map((each) => this.arnOf(`service/${cluster}/${nameOf(each)}`));
    return {
      services: arns.flatMap((each) => {
        const service = this.state.services.get(each);
        return service ? [this.described(service)] : [];
      }),
      failures: arns
        .filter((each) => !this.state.services.has(each))
        .map((each) => ({ arn: each, reason: 'MISSING' })),
    };
  }

  private listTasks(input: ListTasksRequest): object {
    const cluster = this.cluster(input.cluster);
    const status = input.desiredStatus ?? 'RUNNING';
    const service = input.serviceName === undefined ? undefined : nameOf(input.serviceName);
    return {
      taskArns: this.state.tasks
        .filter(
          (task) => task.cluster === cluster && (service === undefined || nameOf(task.service) === service),
        )
        .filter((task) => (task.status === 'STOPPED') === (status === 'STOPPED'))
        .map((task) => task.arn),
    };
  }

  private describeTasks(input: DescribeTasksRequest): object {
    const wanted = (input.tasks ?? []).map(nameOf);
    const tasks = this.state.tasks.filter((task) => wanted.includes(nameOf(task.arn)));
    return {
      tasks: tasks.map((task) => this.describedTask(task)),
      failures: (input.tasks ?? [])
        .filter((each) => !tasks.some((task) => nameOf(task.arn) === nameOf(each)))
        .map((each) => ({ arn: each, reason: 'MISSING' })),
    };
  }

  private async stopTask(input: StopTaskRequest): Promise<object> {
    const task = this.state.tasks.find((each) => nameOf(each.arn) === nameOf(input.task));
    if (!task) throw new ApiError('InvalidParameterException', 'The referenced task was not found.');
    await this.end(task, input.reason ?? 'Task stopped by user');
    const service = this.state.services.get(task.service);
    if (service) this.balance(service);
    return { task: this.describedTask(task) };
  }

  /** Begins a deployment; the one before goes on until the new tasks run. */
  private deploy(service: EcsService, taskDefinition: string): void {
    for (const deployment of service.deployments) deployment.status = 'ACTIVE';
    const now = this.now();
    const id = `ecs-svc/${randomUUID().replaceAll(/\D/g, '').slice(0, 16)}`;
    service.deployments.unshift({
      id,
      taskDefinition,
      status: 'PRIMARY',
      rolloutState: 'IN_PROGRESS',
      createdAt: now,
      updatedAt: now,
    });
    this.balance(service);
  }

  /** Starts and stops tasks until the newest deployment alone has as many as are wanted. */
  private balance(service: EcsService): void {
    const [primary] = service.deployments;
    if (!primary || this.stopped) return;
    const tasks = this.tasksOf(service);
    const own = tasks.filter(({ deployment }) => deployment === primary.id);
    for (let missing = service.desiredCount - own.length; missing > 0; missing--)
      this.start(service, primary);
    for (const surplus of own.slice(service.desiredCount)) void this.end(surplus, 'Scaling activity');
    const running = own.filter(({ status }) => status === 'RUNNING').length;
    if (running < service.desiredCount || primary.rolloutState === 'COMPLETED') return;
    const old = tasks.filter(({ deployment }) => deployment !== primary.id);
    void Promise.all(
      old.map(async (task) => this.end(task, `Scaling activity initiated by (deployment ${primary.id})`)),
    ).then(() => {
      primary.rolloutState = 'COMPLETED';
      primary.updatedAt = this.now();
      service.deployments = [primary];
      this.tell(service, `(service ${service.name}) has reached a steady state.`);
    });
  }

  private start(service: EcsService, deployment: Deployment): void {
    const task: Task = {
      arn: this.arnOf(`task/${service.cluster}/${randomUUID().replaceAll('-', '')}`),
      cluster: service.cluster,
      service: service.arn,
      deployment: deployment.id,
      taskDefinition: deployment.taskDefinition,
      createdAt: this.now(),
      status: 'PROVISIONING',
      stoppedReason: undefined,
      exitCode: undefined,
    };
    this.state.tasks.push(task);
    this.tell(service, `(service ${service.name}) has started 1 tasks: (task ${nameOf(task.arn)}).`);
    this.launchLater(task);
  }

  /** A deployment under way pulls a virtual clock forward, as an operation of RDS does. */
  private launchLater(task: Task): void {
    const { clock } = this.context;
    clock.schedule(new Date(clock.now().getTime() + START_TIME), async () => this.launch(task));
  }

  private async launch(task: Task): Promise<void> {
    const service = this.state.services.get(task.service);
    if (task.status === 'STOPPED' || this.stopped || !service) return;
    const { container, executionRoleArn } = this.definition(task.taskDefinition);
    const fail = (reason: string): void => {
      task.status = 'STOPPED';
      task.stoppedReason = reason;
      this.tell(service, `(service ${service.name}) was unable to start a task: ${reason}`);
      this.balanceLater(service);
    };
    let environment: Record<string, string>;
    try {
      environment = await this.environmentOf(container, executionRoleArn);
    } catch (error) {
      fail(
        `ResourceInitializationError: unable to pull secrets or registry auth: ${error instanceof Error ? error.message : String(error)}`,
      );
      return;
    }
    const command = [...(container.entryPoint ?? []), ...(container.command ?? [])];
    const lines: string[] = [];
    this.outputs.set(task.arn, lines);
    const process = new TaskProcess(command, environment, (line) => {
      // An application may print what it likes: its lines are no part of the sandbox's log.
      lines.push(line);
      if (lines.length > KEPT_LINES) lines.shift();
    });
    this.processes.set(task.arn, process);
    task.status = 'RUNNING';
    void process.ended.then((code) => {
      this.processes.delete(task.arn);
      task.exitCode = code;
      if (task.status !== 'RUNNING' || this.stopped) return;
      task.status = 'STOPPED';
      task.stoppedReason = 'Essential container in task exited';
      this.balanceLater(service);
    });
    this.balance(service);
  }

  /** A task that ends at once is not started again at once. */
  private balanceLater(service: EcsService): void {
    const { clock } = this.context;
    clock.schedule(
      new Date(clock.now().getTime() + RESTART_PAUSE),
      () => {
        if (this.state.services.has(service.arn)) this.balance(service);
      },
      { background: true },
    );
  }

  /** What the container is started with: secrets are read in the name of the execution role, once, at the start. */
  private async environmentOf(
    container: ContainerDefinition,
    executionRoleArn: string | undefined,
  ): Promise<Record<string, string>> {
    const environment = Object.fromEntries(
      (container.environment ?? []).map(({ name, value }) => [name ?? '', value ?? '']),
    );
    for (const { name = '', valueFrom = '' } of container.secrets ?? []) {
      if (executionRoleArn === undefined)
        throw new Error('the task definition has no execution role to read secrets with');
      // arn:aws:secretsmanager:<region>:<account>:secret:<name>[:<JSON key>:<stage>:<version>]
      const parts = valueFrom.split(':');
      const [key = '', stage = '', version = ''] = parts.slice(7);
      const answer = SecretValue.parse(
        await this.context.api.call(
          'secretsmanager',
          'GetSecretValue',
          {
            SecretId: parts.slice(0, 7).join(':'),
            ...(stage !== '' && { VersionStage: stage }),
            ...(version !== '' && { VersionId: version }),
          },
          {
            arn: executionRoleArn,
            via: { service: 'ecs-tasks.amazonaws.com', sourceArn: this.arnOf('*') },
          },
        ),
      );
      environment[name] =
        key === '' ? answer.SecretString : (Keys.parse(JSON.parse(answer.SecretString))[key] ?? '');
    }
    return environment;
  }

  private async end(task: Task, reason: string): Promise<void> {
    if (task.status === 'STOPPED') return;
    task.status = 'STOPPED';
    task.stoppedReason = reason;
    await this.processes.get(task.arn)?.stop();
  }

  private tell(service: EcsService, message: string): void {
    service.events.unshift({ id: randomUUID(), createdAt: this.now(), message });
    service.events.splice(100);
  }

  private tasksOf(service: EcsService): Task[] {
    return this.state.tasks.filter((task) => task.service === service.arn && task.status !== 'STOPPED');
  }

  private described(service: EcsService): ServiceAnswer {
    const tasks = this.tasksOf(service);
    const count = (of: readonly Task[], running: boolean): number =>
      of.filter(({ status }) => (status === 'RUNNING') === running).length;
    return {
      serviceArn: service.arn,
      serviceName: service.name,
      clusterArn: this.arnOf(`cluster/${service.cluster}`),
      status: this.state.services.has(service.arn) ? 'ACTIVE' : 'INACTIVE',
      desiredCount: service.desiredCount,
      runningCount: count(tasks, true),
      pendingCount: count(tasks, false),
      taskDefinition: service.deployments[0]?.taskDefinition,
      createdAt: service.createdAt,
      events: service.events,
      deployments: service.deployments.map((deployment) => {
        const own = tasks.filter((task) => task.deployment === deployment.id);
        return {
          ...deployment,
          desiredCount: deployment.status === 'PRIMARY' ? service.desiredCount : 0,
          runningCount: count(own, true),
          pendingCount: count(own, false),
          failedTasks: 0,
        };
      }),
    };
  }

  private describedTask(task: Task): TaskAnswer {
    return {
      taskArn: task.arn,
      clusterArn: this.arnOf(`cluster/${task.cluster}`),
      taskDefinitionArn: task.taskDefinition,
      group: `service:${nameOf(task.service)}`,
      startedBy: task.deployment,
      lastStatus: task.status,
      desiredStatus: task.status === 'STOPPED' ? 'STOPPED' : 'RUNNING',
      createdAt: task.createdAt,
      ...(task.stoppedReason !== undefined && { stoppedReason: task.stoppedReason }),
      containers: [
        {
          name: this.definition(task.taskDefinition).container.name,
          lastStatus: task.status,
          ...(task.exitCode !== undefined && { exitCode: task.exitCode }),
        },
      ],
    };
  }

  private cluster(reference: string | undefined): string {
    const name = nameOf(reference);
    if (!this.state.clusters.has(name)) throw new ApiError('ClusterNotFoundException', 'Cluster not found.');
    return name;
  }

  private find(reference: string | undefined, cluster: string | undefined): EcsService {
    const service = this.state.services.get(
      this.arnOf(`service/${this.cluster(cluster)}/${nameOf(reference)}`),
    );
    if (!service) throw new ApiError('ServiceNotFoundException', 'Service not found.');
    return service;
  }

  /** By ARN, by family and revision, or the newest of a family. */
  private definition(reference = ''): TaskDefinition {
    const name = nameOf(reference);
    const found = [...this.state.definitions.values()].findLast(
      ({ family, revision }) => name === `${family}:${revision}` || name === family,
    );
    if (!found) throw new ApiError('ClientException', 'Unable to describe task definition.');
    return found;
  }

  private arnOf(resource: string): string {
    return arn(this.context.account, 'ecs', resource);
  }

  private now(): Date {
    return this.context.clock.now();
  }
}

const SecretValue = z.object({ SecretString: z.string() });
const Keys = z.record(z.string(), z.coerce.string());

/** The last part of an ARN, or the name itself. */
function nameOf(reference = 'default'): string {
  return reference.split('/').at(-1) ?? reference;
}

function refuseOthers(what: string, input: object, known: readonly string[]): void {
  for (const [name, value] of Object.entries(input))
    if (value !== undefined && !known.includes(name)) throw new NotInSandbox(`ecs:${what} with ${name}`);
}

function describedDefinition({
  arn: taskDefinitionArn,
  family,
  revision,
  container,
  executionRoleArn,
}: TaskDefinition): object {
  return {
    taskDefinitionArn,
    family,
    revision,
    status: 'ACTIVE',
    containerDefinitions: [container],
    ...(executionRoleArn !== undefined && { executionRoleArn }),
  };
}
