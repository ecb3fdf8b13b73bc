import type { SandboxContext } from '../core/context';
import type { StepFunctionsService } from '../step-functions/service';

/** Puts an event on the bus whenever an execution starts, is redriven or ends, as Step Functions does. */
export function publishExecutions(context: SandboxContext, stepFunctions: StepFunctionsService): void {
  stepFunctions.onExecution((execution) => {
    const { arn, name, status, stateMachineArn, startDate, stopDate, input, output, error, cause } =
      execution;
    const detail = {
      executionArn: arn,
      stateMachineArn,
      name,
      status,
      startDate: startDate.getTime(),
      stopDate: stopDate?.getTime() ?? null,
      input,
      inputDetails: { included: true },
      output: output ?? null,
      outputDetails: output === undefined ? null : { included: true },
      error: error ?? null,
      cause: cause ?? null,
      redriveCount: execution.redriveCount,
      redriveDate: execution.redriveDate?.getTime() ?? null,
      redriveStatus: ['RUNNING', 'SUCCEEDED'].includes(status) ? 'NOT_REDRIVABLE' : 'REDRIVABLE',
    };
    const entry = {
      Source: 'aws.states',
      DetailType: 'Step Functions Execution Status Change',
      Resources: [arn],
      Detail: JSON.stringify(detail),
    };
    context.api
      .call('events', 'PutEvents', { Entries: [entry] }, { arn: 'states.amazonaws.com' })
      .catch((failure: unknown) => {
        context.log(`events: the end of ${arn} was not published: ${String(failure)}`);
      });
  });
}
