import { CloudFormationService } from './cloudformation/service';
import { collect } from './cloudwatch/collect';
import { CloudWatchService } from './cloudwatch/service';
import type { SandboxContext } from './core/context';
import type { DeployTarget } from './deploy/deploy';
import { EcsServiceApi } from './ecs/service';
import { publishExecutions } from './events/executions';
import { EventsService } from './events/service';
import { LambdaService, type LambdaOptions } from './lambda/service';
import type { RdsService } from './rds/service';
import { S3Service } from './s3/service';
import { SchedulerService } from './scheduler/service';
import { SecretsManagerService } from './secrets-manager/service';
import { SnsService } from './sns/service';
import { SqsService } from './sqs/service';
import { StepFunctionsService } from './step-functions/service';
import { SsmService } from './ssm/service';
import { StsService } from './sts/service';

/** The services of one account: what one account has no other sees. Only RDS knows all of them, since snapshots are shared. */
export interface AccountServices {
  readonly stepFunctions: StepFunctionsService;
  readonly lambda: LambdaService;
  readonly sns: SnsService;
  readonly events: EventsService;
  readonly scheduler: SchedulerService;
  readonly sqs: SqsService;
  readonly cloudWatch: CloudWatchService;
  readonly ecs: EcsServiceApi;
}

/** Makes the services of an account and registers them with its Api. */
export function startServices(
  context: SandboxContext,
  rds: RdsService,
  lambdaOptions: LambdaOptions,
  deployTarget: DeployTarget,
): AccountServices {
  const stepFunctions = new StepFunctionsService(context);
  const lambda = new LambdaService(context, lambdaOptions);
  const sns = new SnsService(context);
  const sqs = new SqsService(context);
  const events = new EventsService(context);
  const scheduler = new SchedulerService(context);
  publishExecutions(context, stepFunctions);
  const cloudWatch = new CloudWatchService(context);
  const ecs = new EcsServiceApi(context);
  collect(context, cloudWatch, { lambda, stepFunctions, events, scheduler, sqs });
  const others = [SecretsManagerService, StsService, S3Service, SsmService].map(
    (Other) => new Other(context),
  );
  const cloudFormation = new CloudFormationService(context, deployTarget);
  const services = { stepFunctions, lambda, sns, events, scheduler, sqs, cloudWatch, ecs };
  for (const service of [rds, cloudFormation, ...Object.values(services), ...others])
    context.api.register(service);
  return services;
}

/** What another account than the home account is for its services. */
export function contextOf(home: SandboxContext, accountId: string): SandboxContext {
  return {
    ...home,
    account: { ...home.account, accountId },
    api: home.api.inAccount(accountId),
    directory: `${home.directory}/accounts/${accountId}`,
    keep: (name, part) => {
      home.keep(`${name} of ${accountId}`, part);
    },
  };
}
