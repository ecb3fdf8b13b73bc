import type { OperationKind } from './durations';
import type { Plan, Rds } from './rds';
import type { FailedStatus, InstanceRecord, InstanceStatus } from './state';

/**
 * The plan of a task that an instance shows as its `status`, if one is given. It is over without effect when the instance has
 * another status meanwhile (a deletion came in between) or is gone.
 */
export function planOnInstance(
  rds: Rds,
  dbiResourceId: string,
  what: {
    readonly kind?: OperationKind;
    readonly status?: InstanceStatus;
    /** The status that a failure of the work leaves. @default failed */
    readonly failedStatus?: FailedStatus;
    readonly alsoKnownAs?: string;
  },
  steps: {
    readonly work?: (instance: InstanceRecord) => Promise<void>;
    readonly done: (instance: InstanceRecord) => void;
    readonly failed?: (instance: InstanceRecord) => void;
  },
): Plan {
  const { kind, status, failedStatus = 'failed', alsoKnownAs } = what;
  const instance = rds.byResourceId(dbiResourceId);
  const present = (): InstanceRecord | undefined => {
    const found = rds.byResourceId(dbiResourceId);
    return found && (status === undefined || found.status === status) ? found : undefined;
  };
  const { work } = steps;
  return {
    ...(kind && { kind }),
    resource: dbiResourceId,
    identifiers: [alsoKnownAs, instance?.identifier].filter((name) => name !== undefined),
    begun: () => {
      if (instance && status !== undefined) instance.status = status;
    },
    ...(work && {
      work: async () => {
        const found = present();
        if (found) await work(found);
      },
    }),
    done: () => {
      const found = present();
      if (found) steps.done(found);
    },
    failed: (forced) => {
      const found = present();
      if (!found) return;
      if (status !== undefined) found.status = forced ?? failedStatus;
      steps.failed?.(found);
    },
  };
}
