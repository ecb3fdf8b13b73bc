import { Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import * as sfn from 'aws-cdk-lib/aws-stepfunctions';
import { Construct } from 'constructs';
import { allow } from '../permissions/permission';
import { RecoveryApprovals } from './approvals';
import { cleanUp } from './clean-up';
import { cutover } from './cutover';
import { IS_RENAME, IS_UNDO, RESULT, jsonata } from './expressions';
import { RecoveryFailures } from './failures';
import { rename } from './rename';
import { restore } from './restore';
import { retirement } from './retirement';
import { MachineStates, holds, type MachineStatesProps } from './states';

export interface RecoveryMachineProps extends MachineStatesProps {
  /** Named in the text that says how to go back by hand. */
  readonly databaseUrlSecret: ISecret;
  /** Days that the machine's log is kept. */
  readonly logDays: logs.RetentionDays;
}

/**
 * A machine-level timeout cannot be caught and would leave a recovery half done, so it is longer than every limit together;
 * it only ends what would hang for ever.
 */
const MACHINE_TIMEOUT = Duration.days(21);

/**
 * The recovery machine. Its states, their order and its failure paths are described in docs/state-machine.md; the phases of a recovery
 * have a file each.
 *
 * Written in JSONata with variables: `$recovery` is what Plan decided, `$instance` the recovery instance's address,
 * `$firstError` the error that ended the way forward. State data holds identifiers only.
 */
export class RecoveryMachine extends Construct {
  readonly machine: sfn.StateMachine;

  constructor(
    scope: Construct,
    id: string,
    private readonly props: RecoveryMachineProps,
  ) {
    super(scope, id);
    const states = new MachineStates(this, props);
    const failures = new RecoveryFailures(this, states, props);
    const approvals = new RecoveryApprovals(states);

    const restoring = restore(this, states, failures, approvals);
    const cuttingOver = cutover(this, states, failures);
    const retiring = retirement(this, states, failures, approvals);
    const renaming = rename(this, states, failures, approvals);

    // The runbook: plan, restore, cut over, retire. A rename is a cutover that comes in at the swap.
    const runbook = this.plan(states, failures).next(
      new sfn.Choice(this, 'PlanOnly?', { comment: 'mode "plan", the default, changes nothing' })
        .when(holds('$recovery.mode = "plan"'), this.planned())
        .when(holds(IS_UNDO), restoring.takeBack)
        .when(holds('$recovery.mode = "clean-up"'), cleanUp(this, states, failures))
        .when(holds(IS_RENAME), renaming.begun)
        .otherwise(restoring.startRestore),
    );
    restoring.then(cuttingOver.fence);
    renaming.rename.next(cuttingOver.swap);
    cuttingOver.then({ rename: renaming.finishRename, otherwise: retiring.finishSettings });

    const failedIn = (state: string): sfn.Condition => holds(`$firstError.state = "${state}"`);
    const goOn = new sfn.Choice(this, 'GoOnWith?', { comment: 'redriven: the state that failed' })
      .when(failedIn('Retire'), retiring.retire)
      .when(failedIn('AskForRetirement'), retiring.askForRetirement)
      .when(failedIn('Drain'), retiring.drain)
      .when(failedIn('Soak'), retiring.soaking)
      .when(failedIn('ProveConsumers'), cuttingOver.proveConsumers)
      .when(failedIn('FinishRename'), renaming.finishRename)
      .when(holds(IS_RENAME), renaming.rename)
      .otherwise(retiring.finishSettings);
    failures.oldInstanceKept.end.next(goOn);
    failures.renameNotFinished.end.next(goOn);

    this.machine = this.stateMachine(runbook);
  }

  private plan(states: MachineStates, failures: RecoveryFailures): sfn.TaskStateBase {
    const failed = failures.planFailed();
    const plan = states.step(
      {
        name: 'Plan',
        event: {
          execution: {
            arn: jsonata('$states.context.Execution.Id'),
            name: jsonata('$states.context.Execution.Name'),
            startTime: jsonata('$states.context.Execution.StartTime'),
          },
          input: jsonata('$states.context.Execution.Input'),
        },
        assign: {
          recovery: `${RESULT}.recovery`,
          plan: `${RESULT}.plan`,
          approvals: '[]',
          drains: '0',
          leave: 'null',
          alarms: '{"seen": []}',
          soak: 'null',
          warmth: 'null',
          hydration: 'null',
          waited: 'false',
          renamed: 'null',
          wasSwapped: 'false',
          lift: 'null',
        },
      },
      failed.tell,
    );
    failed.end.next(plan);
    return plan;
  }

  private planned(): sfn.Succeed {
    return sfn.Succeed.jsonata(this, 'Planned', {
      comment: 'Nothing was changed',
      outputs: { recovery: jsonata('$recovery'), plan: jsonata('$plan') },
    });
  }

  private stateMachine(runbook: sfn.IChainable): sfn.StateMachine {
    const { environment, functions, topic, logDays } = this.props;
    const name = `${environment}-recovery`;
    const logGroup = new logs.LogGroup(this, 'Log', {
      logGroupName: `/aws/vendedlogs/states/${name}`,
      retention: logDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new iam.Role(this, 'Role', {
      assumedBy: new iam.ServicePrincipal('states.amazonaws.com'),
      description: `What the machine ${name} may do`,
    });
    allow(role, [
      {
        sid: 'CallSteps',
        actions: ['lambda:InvokeFunction'],
        resources: Object.values(functions).map((step) => step.functionArn),
      },
      { sid: 'Notify', actions: ['sns:Publish'], resources: [topic.topicArn] },
      {
        sid: 'LookAtAlarms',
        actions: ['cloudwatch:DescribeAlarms'],
        resources: ['*'],
        wildcardReason:
          'The input names alarms, too, and composite alarms are seen by those only who may see all. Reading them changes nothing.',
      },
      {
        sid: 'WriteLog',
        actions: [
          'logs:CreateLogDelivery',
          'logs:GetLogDelivery',
          'logs:UpdateLogDelivery',
          'logs:DeleteLogDelivery',
          'logs:ListLogDeliveries',
          'logs:PutResourcePolicy',
          'logs:DescribeResourcePolicies',
          'logs:DescribeLogGroups',
        ],
        resources: ['*'],
        wildcardReason: 'CloudWatch Logs knows no resources for the delivery of logs.',
      },
    ]);
    const machine = new sfn.StateMachine(this, 'Machine', {
      stateMachineName: name,
      comment:
        'Brings the database back to a restore point. Start it with {} to see a plan; docs/state-machine.md.',
      definitionBody: sfn.DefinitionBody.fromChainable(runbook),
      queryLanguage: sfn.QueryLanguage.JSONATA,
      timeout: MACHINE_TIMEOUT,
      // The tasks would add themselves with wildcards; the statements above name each function.
      role: role.withoutPolicyUpdates(),
      // Without execution data: the history has it, for those who may read executions.
      logs: { destination: logGroup, level: sfn.LogLevel.ALL, includeExecutionData: false },
      tracingEnabled: false,
    });
    machine.node.addDependency(role);
    Validations.of(machine).acknowledge({
      id: 'AwsSolutions-SF2',
      reason:
        'A recovery is one execution whose history shows every call with its times; X-Ray would add cost and permissions only.',
    });
    return machine;
  }
}
