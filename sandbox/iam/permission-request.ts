import type { Json } from '../deploy/json';

/** Condition keys of a request and their values. */
export type ConditionContext = Readonly<Record<string, string | string[]>>;

/** One action on one resource that an API call needs to be allowed. */
export interface PermissionRequest {
  /** `rds:DeleteDBInstance` */
  readonly action: string;
  /** Its ARN, or `*` for actions that know no resource. Stands in AWS's text of a refusal. */
  readonly resource: string;
  /** Tags of the resource; none for one that is yet to be made. */
  readonly resourceTags?: Readonly<Record<string, string>>;
  /** Tags that the call gives. */
  readonly requestTags?: Readonly<Record<string, string>>;
  /** Condition keys besides tags and those that every request has. */
  readonly context?: ConditionContext;
  /** What RDS calls the key that it would use in the caller's name: it tells nobody which permission of KMS they lack. */
  readonly keyOfRds?: 'source snapshot' | 'target';
  /** The policy on the resource itself, if it has one. */
  readonly resourcePolicy?: Json;
}

/** Condition keys that the tags of a request's resource and of the request itself give. */
export function tagContext(request: PermissionRequest): ConditionContext {
  const context: Record<string, string | string[]> = {};
  const [service = ''] = request.action.split(':');
  const kind = request.resource.split(':')[5] ?? '';
  for (const [key, value] of Object.entries(request.resourceTags ?? {})) {
    context[`aws:ResourceTag/${key}`] = value;
    if (service === 'rds') context[`rds:${kind}-tag/${key}`] = value;
    if (service === 'secretsmanager') context[`secretsmanager:ResourceTag/${key}`] = value;
  }
  const given = Object.entries(request.requestTags ?? {});
  for (const [key, value] of given) {
    context[`aws:RequestTag/${key}`] = value;
    if (service === 'rds') context[`rds:req-tag/${key}`] = value;
  }
  if (given.length > 0) context['aws:TagKeys'] = given.map(([key]) => key);
  return context;
}
