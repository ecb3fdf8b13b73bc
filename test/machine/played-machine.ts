import {
  DescribeExecutionCommand,
  RedriveExecutionCommand,
  SFNClient,
  SendTaskFailureCommand,
  SendTaskSuccessCommand,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import { z } from 'zod';
import { VirtualClock } from '../../sandbox/core/clock';
import { S3Service } from '../../sandbox/s3/service';
import { SnsService } from '../../sandbox/sns/service';
import { StepFunctionsService } from '../../sandbox/step-functions/service';
import type { PlanUndoResult } from '../../lambdas/contract/plan';
import { ENVIRONMENTS } from '../../lib/environments';
import { onlyOf, readable, resourcesOf, synthesise, templateOf } from '../lib/synthesis';
import { scripted, serve, type Served } from '../sandbox/wire/served';
import { until } from '../until';

/** What a function answers, or throws: an error of lambdas/errors.ts, or one of Lambda's own names. */
export type Answer = (event: unknown, call: number) => unknown;

export const LIVE = {
  instanceId: 'production-database',
  resourceId: 'db-LIVE',
  host: 'production-database.c1.eu-central-1.rds.amazonaws.com',
  port: 5432,
};

const LEFT_ALONE = {
  what: 'recovery instance',
  instanceId: 'production-database-rec-9876543210',
  cleanUp: 'leaves',
  why: 'Nobody knows it.',
};

/** What the functions answer when all is well. */
export const ALL_WELL: Readonly<Record<string, Answer>> = {
  plan: (event) => planned(event),
  'start-restore': () => ({ instanceId: NEW.instanceId }),
  'take-safety-snapshot': () => ({ taken: true, snapshotId: 'production-database-safety-0123456789' }),
  'take-back': () => ({ instanceId: NEW.instanceId }),
  'give-back': () => ({ instanceId: NEW.instanceId, retired: true }),
  'check-restored-instance': () => NEW,
  'record-position': () => ({
    masterUserKnown: true,
    recorded: false,
    reason: 'The master user could not log in.',
  }),
  'match-settings': () => ({
    settings: [{ name: 'DeletionProtection', live: 'true', recovery: 'false', equal: false }],
  }),
  'finish-settings': () => ({
    settings: [
      { name: 'DeletionProtection', live: 'true', recovery: 'true', equal: true },
      { name: 'AvailabilityZone', live: 'a', recovery: 'b', equal: false, note: 'RDS chooses it' },
      { name: 'MultiAZ', live: 'true', recovery: 'true', equal: true },
    ],
  }),
  'match-credentials': () => ({ applicationRole: 'app', applicationPassword: 'already current' }),
  verify: () => ({
    checks: [{ name: 'writable', ok: true, detail: 'A temporary table could be made | and dropped.' }],
    migrations: ['20251101000000_init'],
    migrationsTakenAway: ['20251208120000_drop_details'],
    quarantine: [],
  }),
  warm: () => ({ percent: 100, enough: true }),
  hydrate: () => ({ percent: 100 }),
  'end-drill': () => ({
    discarded: 'gone',
    instanceId: NEW.instanceId,
    restoreSeconds: 540,
    recoverySeconds: 840,
    checks: { passed: 21, notPassed: 1 },
  }),
  fence: () => ({ fenced: ['app'], notFenced: ['rdsadmin'], checks: [], preparedTransactions: 0 }),
  swap: () => ({ versionId: 'version-2', previousVersionId: 'version-1' }),
  prove: () => ({ checks: [{ name: 'the secret names the new instance', ok: true, detail: 'It does.' }] }),
  'restart-consumers': () => ({ services: [] }),
  'prove-consumers': () => ({ expected: false }),
  drain: () => ({ sessions: 0, at: '2026-11-22T02:00:00.000Z' }),
  soak: () => ({
    since: '2026-11-22T02:00:00.000Z',
    until: '2026-11-22T02:30:00.000Z',
    looks: 1,
    first: { deadlocks: null, oldWrites: null, sessions: null },
    last: null,
    findings: [],
    problems: [],
    enough: true,
    pauseSeconds: 60,
  }),
  retire: () => ({ retired: 'deleted', instanceId: LIVE.instanceId, finalSnapshotId: FINAL }),
  'swap-back': () => ({ wasSwapped: true }),
  'lift-fence': () => ({ lifted: true, reason: 'Its owner gave up.' }),
  'clean-up': () => ({ left: [LEFT_ALONE] }),
  rename: () => ({ instance: LIVE, askedAt: '2026-11-22T02:00:00.000Z' }),
  'finish-rename': () => ({
    outage: { from: '2026-11-22T02:00:00.000Z', until: '2026-11-22T02:11:20.000Z', seconds: 680 },
    snapshot: { taken: true, snapshotId: 'production-database-safety-0123456789' },
  }),
  discard: () => ({ discarded: 'gone', instanceId: NEW.instanceId }),
  fail: (event) => {
    const { error, cause, goesOnWith, redrives } = z
      .object({
        error: z.string(),
        cause: z.string(),
        goesOnWith: z.string(),
        redrives: z.object({ then: z.number(), now: z.number() }),
      })
      .parse(event);
    if (redrives.now <= redrives.then) throw new Thrown(error, cause);
    return { goesOnWith };
  },
};

export const NEW = {
  instanceId: 'production-database-rec-0123456789',
  resourceId: 'db-NEW',
  host: 'production-database-rec-0123456789.c1.eu-central-1.rds.amazonaws.com',
  port: 5432,
};
/** Back: the other way round than in a recovery. */
const RENAMED = { live: NEW, recoveryInstanceId: LIVE.instanceId };
export const FINAL = 'production-database-final-0123456789';

const ASKS = 'publish.waitForTaskToken';
const Asked = z.object({ Message: z.object({ question: z.string(), token: z.string() }) });

/** An error that a function throws. */
export class Thrown extends Error {
  constructor(
    override readonly name: string,
    message: string,
  ) {
    super(message);
  }
}

const UNDO_PLAN: PlanUndoResult['plan'] = {
  summary: ['A person is asked first.'],
  why: 'Recovery 9876543210 is undone.',
  lossWindowMinutes: 7,
  namedBy: { alarms: [], dashboards: [] },
};

function planned(event: unknown): unknown {
  const { execution, input } = z
    .object({
      execution: z.object({ arn: z.string(), startTime: z.string() }),
      input: z.looseObject({ retire: z.string().default('delete'), mode: z.string().default('plan') }),
    })
    .parse(event);
  return {
    recovery: {
      reason: null,
      requestedBy: null,
      approveCutover: false,
      approveRetirement: false,
      ...input,
      id: '0123456789',
      execution,
      environment: 'production',
      live: LIVE,
      secretVersionId: 'version-1',
      restorePoint: {
        kind: 'snapshot',
        snapshotId: 'production-database-pre-migration-build-4711-0123456789',
        databaseTime: new Date(Date.parse(execution.startTime) - 7 * 60_000).toISOString(),
        pendingMigrations: ['20251208120000_drop_details'],
      },
      recoveryInstanceId: NEW.instanceId,
      finalSnapshotId: FINAL,
      ...(input.mode === 'undo' && { undoes: { recoveryId: '9876543210', instance: NEW } }),
      ...(input.mode === 'rename' && { ...RENAMED, rename: { begun: false } }),
    },
    // Of an undo no more is said: nothing is restored, and it takes what it takes.
    plan:
      input.mode === 'undo'
        ? UNDO_PLAN
        : {
            why: 'It is the newest one that is available.',
            migrations: {
              goAway: ['20251208120000_drop_details'],
              stay: { count: 1, newest: '20251101000000_init' },
            },
            expectedMinutes: { median: 14.2, shortest: 12, longest: 31, recoveries: 3 },
            namedBy: { alarms: [], dashboards: null },
            ...(input.mode !== 'recover' && {
              summary: ['THE APPLICATION HAS NO DATABASE. A person is asked first.'],
            }),
            ...(input.mode === 'clean-up' && {
              leftovers: [
                { what: 'fence', instanceId: LIVE.instanceId, cleanUp: 'opens', why: 'It is live.' },
                {
                  what: 'recovery instance',
                  instanceId: NEW.instanceId,
                  cleanUp: 'deletes',
                  why: 'It was not.',
                },
                LEFT_ALONE,
              ],
            }),
            ...(input.mode === 'rename' && {
              from: { instanceId: NEW.instanceId, host: NEW.host },
              to: { instanceId: LIVE.instanceId, host: LIVE.host },
              outageMinutes: 10,
              consumers: [{ cluster: 'shop', service: 'web' }],
            }),
          },
  };
}

export interface Message {
  readonly subject: string;
  readonly text: string;
}

/**
 * The recovery machine as it is synthesised, run by the sandbox's Step Functions, with functions that answer what a test says:
 * no database, no RDS. Time jumps.
 */
export class PlayedMachine {
  private answers: Readonly<Record<string, Answer>> = ALL_WELL;
  private decide: (question: string) => 'approve' | 'reject' | undefined = () => undefined;
  private readonly calls = new Map<string, number>();
  /** What CloudWatch says of the alarms that it is asked for. */
  describeAlarms: (input: object) => object = () => ({ MetricAlarms: [], CompositeAlarms: [] });
  private executions = 0;

  private constructor(
    readonly served: Served<{ stepFunctions: StepFunctionsService; sns: SnsService; s3: S3Service }>,
    readonly client: SFNClient,
    readonly machineArn: string,
    /** By name. */
    readonly states: Readonly<Record<string, { readonly Resource?: string | undefined }>>,
  ) {}

  static async start(): Promise<PlayedMachine> {
    const clock = new VirtualClock();
    const here: { played?: PlayedMachine } = {};
    const invoke = (input: object): object => {
      if (!here.played) throw new Error('Nothing runs yet.');
      return here.played.invoke(input);
    };
    const served = await serve(
      (context) => ({
        stepFunctions: new StepFunctionsService(context),
        sns: new SnsService(context),
        s3: new S3Service(context),
        lambda: scripted('lambda', { Invoke: invoke }),
        monitoring: scripted('monitoring', {
          DescribeAlarms: (input) => here.played?.describeAlarms(input) ?? {},
        }),
      }),
      clock,
    );
    const { api, callers } = served.context;
    const administrator = callers.administrator();
    const call = async (service: 'states' | 'sns' | 's3', operation: string, input: object) =>
      api.call(service, operation, input, administrator);
    await call('s3', 'CreateBucket', { Bucket: 'records' });
    await call('s3', 'PutBucketVersioning', {
      Bucket: 'records',
      VersioningConfiguration: { Status: 'Enabled' },
    });
    const { TopicArn } = z
      .object({ TopicArn: z.string() })
      .parse(await call('sns', 'CreateTopic', { Name: 'production-database-events' }));
    const machine = definition(TopicArn);
    const { stateMachineArn } = z.object({ stateMachineArn: z.string() }).parse(
      await call('states', 'CreateStateMachine', {
        name: 'production-recovery',
        roleArn: 'arn:aws:iam::123456789012:role/machine',
        definition: machine,
      }),
    );
    here.played = new PlayedMachine(
      served,
      new SFNClient(served.client),
      stateMachineArn,
      z
        .object({ States: z.record(z.string(), z.object({ Resource: z.optional(z.string()) })) })
        .parse(JSON.parse(machine)).States,
    );
    here.played.answerQuestions();
    return here.played;
  }

  /** Time stands still until the answer has been given. */
  private answerQuestions(): void {
    const asked = new Map<string, z.infer<typeof Asked>['Message']>();
    const { stepFunctions } = this.served.services;
    stepFunctions.onHistoryEvent((executionArn, { taskScheduledEventDetails, taskSubmittedEventDetails }) => {
      if (taskScheduledEventDetails?.resource === ASKS)
        asked.set(executionArn, Asked.parse(JSON.parse(taskScheduledEventDetails.parameters ?? '')).Message);
      const question = asked.get(executionArn);
      if (taskSubmittedEventDetails?.resource !== ASKS || !question) return;
      const decision = this.decide(question.question);
      if (!decision) return;
      const answer = {
        question: question.question,
        decision: decision === 'approve' ? 'approved' : 'rejected',
        by: 'ada',
        reason: 'a test',
        at: '2026-11-22T02:30:00.000Z',
      };
      const release = this.served.context.clock.hold();
      const given =
        decision === 'approve'
          ? this.client.send(
              new SendTaskSuccessCommand({ taskToken: question.token, output: JSON.stringify(answer) }),
            )
          : this.client.send(
              new SendTaskFailureCommand({
                taskToken: question.token,
                error: 'NotApproved',
                cause: JSON.stringify({ errorMessage: 'ada said no', decision: answer }),
              }),
            );
      // An answer that did not arrive shows itself by how the execution ends.
      void given.catch(() => undefined).finally(release);
    });
  }

  async stop(): Promise<void> {
    this.client.destroy();
    await this.served.close();
  }

  /** Runs a recovery to its end. Answers with the ARN of the execution, how it ended, and the messages that people got. */
  async run(
    input: object,
    answers: Readonly<Record<string, Answer>> = {},
    /** What a person says to a question; undefined: nothing. */
    decide: (question: string) => 'approve' | 'reject' | undefined = () => undefined,
  ): Promise<{
    executionArn: string;
    status: string;
    error: string;
    cause: string;
    messages: Message[];
    /** Of one that succeeded. */
    output: unknown;
  }> {
    this.answers = { ...ALL_WELL, ...answers };
    this.decide = decide;
    this.calls.clear();
    const before = this.served.services.sns.messages.length;
    const { executionArn = '' } = await this.client.send(
      new StartExecutionCommand({
        stateMachineArn: this.machineArn,
        name: `recovery-${++this.executions}`,
        input: JSON.stringify(input),
      }),
    );
    return this.ended(executionArn, before);
  }

  async redrive(
    executionArn: string,
    answers: Readonly<Record<string, Answer>> = {},
    /** Left out: as before. */
    decide = this.decide,
  ): ReturnType<PlayedMachine['run']> {
    this.answers = { ...ALL_WELL, ...answers };
    this.decide = decide;
    const before = this.served.services.sns.messages.length;
    await this.client.send(new RedriveExecutionCommand({ executionArn }));
    return this.ended(executionArn, before);
  }

  async abort(executionArn: string): Promise<void> {
    await this.client.send(new StopExecutionCommand({ executionArn }));
  }

  private async ended(executionArn: string, before: number): ReturnType<PlayedMachine['run']> {
    const {
      status = '',
      error = '',
      cause = '',
      output = 'null',
    } = await until(
      () => this.client.send(new DescribeExecutionCommand({ executionArn })),
      (execution) => execution.status !== 'RUNNING',
    );
    const published = this.served.services.sns.messages.slice(before);
    const messages = published.map(({ subject = '', message }) => ({ subject, text: shown(message) }));
    return { executionArn, status, error, cause, messages, output: JSON.parse(output) as unknown };
  }

  private invoke(input: object): object {
    const { FunctionName, Payload } = z
      .object({ FunctionName: z.string(), Payload: z.instanceof(Uint8Array) })
      .parse(input);
    const name =
      FunctionName.split(':')
        .at(-1)
        ?.replace(/^production-/, '') ?? '';
    const call = (this.calls.get(name) ?? 0) + 1;
    this.calls.set(name, call);
    const bytes = (value: unknown) => Buffer.from(JSON.stringify(value));
    try {
      const answer = this.answers[name];
      if (!answer) throw new Error(`Nobody said what ${name} answers.`);
      const event: unknown = JSON.parse(Buffer.from(Payload).toString());
      return { StatusCode: 200, ExecutedVersion: '$LATEST', Payload: bytes(answer(event, call)) };
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const { name: errorType, message: errorMessage } = error;
      return {
        StatusCode: 200,
        ExecutedVersion: '$LATEST',
        FunctionError: 'Unhandled',
        Payload: bytes({ errorType, errorMessage, trace: [] }),
      };
    }
  }
}

/** Of a message that has a text for each kind of subscriber, what people get. */
function shown(message: string): string {
  return message.startsWith('{')
    ? z.object({ default: z.string() }).parse(JSON.parse(message)).default
    : message;
}

/** The definition of production's machine, with the names that its references would have. */
function definition(topicArn: string): string {
  const template = templateOf(synthesise([ENVIRONMENTS.production]), 'Production-Rollback');
  const { Properties } = onlyOf(template, 'AWS::StepFunctions::StateMachine');
  let text = readable(Properties['DefinitionString']).replaceAll('<AWS::Partition>', 'aws');
  for (const [logicalId, { Type, Properties: properties }] of Object.entries(template.Resources)) {
    if (Type === 'AWS::Lambda::Function')
      text = text.replaceAll(
        `<${logicalId}.Arn>`,
        `arn:aws:lambda:eu-central-1:123456789012:function:${readable(properties['FunctionName'])}`,
      );
    if (Type === 'AWS::SNS::Topic') text = text.replaceAll(`<${logicalId}>`, topicArn);
    if (Type === 'AWS::S3::Bucket')
      text = text.replaceAll(`<${logicalId}>`, 'production-rollback-records-bucket');
  }
  if (resourcesOf(template, 'AWS::SNS::Topic').length !== 1) throw new Error('There is more than one topic.');
  return text;
}
