import { DescribeServicesCommand, UpdateServiceCommand, type ECSClient } from '@aws-sdk/client-ecs';
import { PutEventsCommand, type EventBridgeClient } from '@aws-sdk/client-eventbridge';
import type * as z from 'zod/mini';
import type { RestartConsumersEvent, RestartConsumersResult } from '../contract/cutover';
import type { Consumer } from '../contract/rules';
import type { SecretDeps } from '../claim';
import { AwsUnavailable, ConsumersNotRestarted, toRollbackError } from '../errors';
import { refuseIfOvertaken } from '../overtaken';

/** Of the event by which others than ECS services learn of a cutover. */
const EVENT_SOURCE = 'migration-rollback';
const EVENT_TYPE = 'Database cutover';

export interface RestartConsumersDeps extends SecretDeps {
  readonly ecs: ECSClient;
  readonly events: EventBridgeClient;
  readonly consumers: readonly Consumer[];
}

/**
 * Has every consumer read DATABASE_URL anew: a new deployment of each ECS service, and an event for all others. A service
 * that was deployed after the swap is left as it is. Throws ConsumersNotRestarted, naming them, once all have been tried,
 * RecoveryOvertaken.
 */
export async function restartConsumers(
  { recovery, instance, versionId, swappedAt }: z.output<typeof RestartConsumersEvent>,
  { ecs, events, consumers, ...secret }: RestartConsumersDeps,
): Promise<RestartConsumersResult> {
  await refuseIfOvertaken(recovery, instance ? [instance] : [], secret);
  const services: RestartConsumersResult['services'] = [];
  const problems: string[] = [];
  for (const consumer of consumers) {
    const { cluster, service } = consumer;
    try {
      services.push({
        cluster,
        service,
        deploymentId: await deployedSince(new Date(swappedAt), consumer, ecs),
      });
    } catch (thrown) {
      const error = toRollbackError(thrown);
      // It passes: all of it is asked again. What is wrong with one service does not keep the others down.
      if (error instanceof AwsUnavailable) throw error;
      problems.push(`${cluster}/${service} (${error.fact})`);
    }
  }
  const { FailedEntryCount, Entries } = await events.send(
    new PutEventsCommand({
      Entries: [
        {
          Source: EVENT_SOURCE,
          DetailType: EVENT_TYPE,
          Detail: JSON.stringify({
            environment: recovery.environment,
            recoveryId: recovery.id,
            instanceId: recovery.recoveryInstanceId,
            secretVersionId: versionId,
          }),
        },
      ],
    }),
  );
  if (FailedEntryCount)
    throw new AwsUnavailable(
      `EventBridge did not take the event of the cutover: ${Entries?.[0]?.ErrorCode ?? 'unknown'}.`,
      'Usually this passes.',
    );
  if (problems.length > 0)
    throw new ConsumersNotRestarted(
      `Not restarted: ${problems.join('; ')}.`,
      'Restart them by hand: they have no database until then.',
    );
  return { services };
}

/** The deployment whose tasks have the new value: one that began after the swap, or a new one. */
async function deployedSince(swapped: Date, { cluster, service }: Consumer, ecs: ECSClient): Promise<string> {
  const { services } = await ecs.send(new DescribeServicesCommand({ cluster, services: [service] }));
  const primary = services?.[0]?.deployments?.find(({ status }) => status === 'PRIMARY');
  if (primary?.id !== undefined && primary.createdAt !== undefined && primary.createdAt >= swapped)
    return primary.id;
  const updated = await ecs.send(new UpdateServiceCommand({ cluster, service, forceNewDeployment: true }));
  return updated.service?.deployments?.find(({ status }) => status === 'PRIMARY')?.id ?? 'unknown';
}
