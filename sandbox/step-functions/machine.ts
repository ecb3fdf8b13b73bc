import type { LoggingConfiguration, TracingConfiguration } from '@aws-sdk/client-sfn';

/** What executions run. Never changes: an update makes another revision, and executions keep the one they started with. */
export interface MachineRevision {
  /** Of the sandbox's own. */
  readonly id: string;
  readonly arn: string;
  readonly name: string;
  readonly definition: string;
  readonly roleArn: string;
  readonly updateDate: Date;
  /** As AWS tells it: the first revision has none. */
  readonly revisionId: string | undefined;
  readonly loggingConfiguration: LoggingConfiguration | undefined;
  readonly tracingConfiguration: TracingConfiguration | undefined;
}

/** A state machine. */
export interface StateMachineRecord {
  readonly arn: string;
  readonly name: string;
  readonly creationDate: Date;
  current: MachineRevision;
  tags: Record<string, string>;
  /** It goes when the last of its executions has ended. */
  deleting: boolean;
}
