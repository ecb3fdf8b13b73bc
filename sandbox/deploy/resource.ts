import { z } from 'zod';
import { ApiError, NotInSandbox, type Output, type ServiceName } from '../core/api';
import type { SandboxContext } from '../core/context';
import type { LambdaService } from '../lambda/service';
import type { IamRegistry } from './iam-registry';
import type { Json, JsonObject } from './json';
import type { NetworkRegistry } from './network-registry';
import type { ResponseEndpoint } from './response-endpoint';

/** What a resource that was made is known by. */
export interface Created {
  /** What `Ref` gives. */
  readonly physicalId: string;
  /** What `Fn::GetAtt` gives. */
  readonly attributes?: Readonly<Record<string, Json>>;
}

/** What becomes of a resource while its stack is deployed, as CloudFormation names it. */
export interface ResourceEvent {
  readonly stack: string;
  readonly logicalId: string;
  readonly type: string;
  readonly physicalId?: string;
  readonly status:
    | `${'CREATE' | 'UPDATE' | 'IMPORT'}_${'IN_PROGRESS' | 'COMPLETE' | 'FAILED'}`
    // It is let go.
    | 'DELETE_SKIPPED';
  readonly reason?: string;
  /** Of a failure: whether something has been made or changed by then. */
  readonly made?: boolean;
}

/** What a provider has to work with. */
export interface Deployment {
  readonly context: SandboxContext;
  readonly lambda: LambdaService;
  readonly iam: IamRegistry;
  readonly network: NetworkRegistry;
  /** Whether what is new in a template and exists already is adopted. */
  readonly importExistingResources: boolean;
  /** Started with the first custom resource. */
  readonly responses: () => Promise<ResponseEndpoint>;
  /** An AWS API call as the account's administrator. */
  readonly call: (service: ServiceName, operation: string, input: object) => Promise<Output>;
}

export interface ResourceRequest extends Deployment {
  readonly stackName: string;
  readonly stackId: string;
  readonly logicalId: string;
  readonly type: string;
  readonly assets: ReadonlyMap<string, string>;
  /** A physical name as CloudFormation makes it where the template has none. */
  readonly generatedName: (maxLength?: number) => string;
  /** A stable hexadecimal id, e.g. for `subnet-…`. */
  readonly generatedId: string;
  /** What is there of it already: of a resource that is updated. */
  readonly earlier?: { readonly physicalId: string; readonly properties: JsonObject };
}

/** Makes resources of one type. Properties that it does not know are refused by name. */
export type Provider = (properties: JsonObject, request: ResourceRequest) => Promise<Created>;

/**
 * Finds a resource of one type that exists under the name in its template; undefined where there is none. The properties are the
 * template's own: a name is no name if something has to be resolved for it.
 */
export type Importer = (properties: JsonObject, request: ResourceRequest) => Promise<Created | undefined>;

/** A provider whose properties have this shape. */
export function provider<Shape extends z.ZodRawShape>(
  shape: Shape,
  create: (properties: z.output<z.ZodObject<Shape>>, request: ResourceRequest) => Promise<Created> | Created,
): Provider {
  const schema = z.strictObject(shape);
  return async (properties, request) => {
    const parsed = schema.safeParse(properties);
    if (parsed.success) return create(parsed.data, request);
    const unknown = parsed.error.issues.flatMap((issue) =>
      issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key].join('.')) : [],
    );
    if (unknown.length > 0) throw new NotInSandbox(`${unknown.join(', ')} of ${request.type}`);
    throw new ApiError('ValidationError', `${request.type}: ${z.prettifyError(parsed.error)}`);
  };
}

// CloudFormation takes a number or a truth as text, too.
export const text = z.union([z.string(), z.number().transform(String)]);
export const number = z.coerce.number();
export const truth = z.union([z.boolean(), z.enum(['true', 'false']).transform((value) => value === 'true')]);
export const texts = z.array(text);
export const json = z.json() as z.ZodType<Json>;
export const tags = z.array(z.object({ Key: z.string(), Value: text }));
