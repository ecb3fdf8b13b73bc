import type { SandboxContext } from '../core/context';
import type { DeliveryOutcome } from '../events/deliveries';
import type { EventsService } from '../events/service';
import type { LambdaService } from '../lambda/service';
import type { SchedulerService } from '../scheduler/service';
import { counts } from '../sqs/queue';
import type { SqsService } from '../sqs/service';
import type { StepFunctionsService } from '../step-functions/service';
import { embeddedMetrics } from './emf';
import { MINUTE, one } from './metrics';
import type { CloudWatchService } from './service';

export interface Sources {
  readonly lambda: LambdaService;
  readonly stepFunctions: StepFunctionsService;
  readonly events: EventsService;
  readonly scheduler: SchedulerService;
  readonly sqs: SqsService;
}

/** What the Scheduler and EventBridge call what becomes of a delivery. */
const SCHEDULER_METRICS: Readonly<Record<DeliveryOutcome, readonly string[]>> = {
  delivered: ['InvocationAttemptCount'],
  failed: ['InvocationAttemptCount', 'TargetErrorCount'],
  dropped: ['InvocationDroppedCount'],
  'dead-lettered': ['InvocationsSentToDeadLetterCount'],
  lost: ['InvocationsFailedToBeSentToDeadLetterCount'],
};
const RULE_METRICS: Readonly<Record<DeliveryOutcome, readonly string[]>> = {
  delivered: ['Invocations'],
  failed: [],
  dropped: ['Invocations', 'FailedInvocations'],
  'dead-lettered': ['InvocationsSentToDlq'],
  lost: ['InvocationsFailedToBeSentToDlq'],
};

/** Makes the metrics that AWS's services have by themselves, and those that functions write into their logs. */
export function collect(context: SandboxContext, cloudWatch: CloudWatchService, sources: Sources): void {
  const measure = (
    namespace: string,
    name: string,
    dimensions: Readonly<Record<string, string>>,
    value: number,
    { unit = 'Count', at = context.clock.now() }: { unit?: string; at?: Date } = {},
  ): void => {
    cloudWatch.record({ namespace, name, dimensions, unit, at, values: one(value) });
  };

  sources.lambda.onInvocation(({ functionName, error, durationMs, throttled, at }) => {
    const inAll = (name: string, value: number, unit = 'Count'): void => {
      measure('AWS/Lambda', name, { FunctionName: functionName }, value, { unit, at });
      measure('AWS/Lambda', name, {}, value, { unit, at });
    };
    inAll('Throttles', throttled ? 1 : 0);
    if (throttled) return;
    inAll('Invocations', 1);
    inAll('Errors', error ? 1 : 0);
    inAll('Duration', durationMs, 'Milliseconds');
  });
  sources.lambda.onLog(({ message }) => {
    for (const measurement of embeddedMetrics(message)) cloudWatch.record(measurement);
  });

  sources.stepFunctions.onExecution(({ stateMachineArn, status, startDate, stopDate, redriveDate }) => {
    const ended = { SUCCEEDED: 'Succeeded', FAILED: 'Failed', TIMED_OUT: 'TimedOut', ABORTED: 'Aborted' };
    const dimensions = { StateMachineArn: stateMachineArn };
    if (status === 'RUNNING') {
      measure('AWS/States', redriveDate ? 'ExecutionsRedriven' : 'ExecutionsStarted', dimensions, 1);
      return;
    }
    for (const [each, name] of Object.entries(ended))
      measure('AWS/States', `Executions${name}`, dimensions, each === status ? 1 : 0);
    if (stopDate)
      measure('AWS/States', 'ExecutionTime', dimensions, stopDate.getTime() - startDate.getTime(), {
        unit: 'Milliseconds',
      });
  });

  sources.scheduler.onDelivery((ScheduleGroup, outcome) => {
    for (const name of SCHEDULER_METRICS[outcome]) {
      measure('AWS/Scheduler', name, { ScheduleGroup }, 1);
      measure('AWS/Scheduler', name, {}, 1);
    }
  });
  sources.events.onDelivery((RuleName, outcome) => {
    for (const name of RULE_METRICS[outcome]) measure('AWS/Events', name, { RuleName }, 1);
  });

  // Queues are counted once a minute while there is something in them, and once more when they are empty.
  const filled = new Set<string>();
  const countQueues = (): void => {
    const now = context.clock.now();
    for (const queue of sources.sqs.inspect()) {
      const { visible, notVisible, delayed } = counts(queue, now.getTime());
      const QueueName = queue.name;
      const isFilled = visible + notVisible + delayed > 0;
      if (isFilled || filled.has(QueueName)) {
        measure('AWS/SQS', 'ApproximateNumberOfMessagesVisible', { QueueName }, visible);
        measure('AWS/SQS', 'ApproximateNumberOfMessagesNotVisible', { QueueName }, notVisible);
        measure('AWS/SQS', 'ApproximateNumberOfMessagesDelayed', { QueueName }, delayed);
      }
      if (isFilled) filled.add(QueueName);
      else filled.delete(QueueName);
    }
    if (filled.size > 0) countAgain();
  };
  let waiting = false;
  const countAgain = (): void => {
    if (waiting) return;
    waiting = true;
    context.clock.schedule(
      new Date(context.clock.now().getTime() + MINUTE),
      () => {
        waiting = false;
        countQueues();
      },
      { background: true },
    );
  };
  sources.sqs.onSend(() => {
    if (!waiting) countQueues();
  });
  // What an earlier process left in the queues is still there.
  countAgain();
}
