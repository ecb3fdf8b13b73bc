import * as cloudwatch from '@aws-sdk/client-cloudwatch';
import * as ecs from '@aws-sdk/client-ecs';
import * as eventbridge from '@aws-sdk/client-eventbridge';
import * as lambda from '@aws-sdk/client-lambda';
import * as rds from '@aws-sdk/client-rds';
import * as scheduler from '@aws-sdk/client-scheduler';
import * as secretsManager from '@aws-sdk/client-secrets-manager';
import * as sfn from '@aws-sdk/client-sfn';
import * as sns from '@aws-sdk/client-sns';
import * as sts from '@aws-sdk/client-sts';
import { NormalizedSchema } from '@smithy/core/schema';
import type { StaticErrorSchema, StaticOperationSchema } from '@smithy/types';
import type { ServiceName } from '../core/api';
import { CLOUDFORMATION_MODEL } from '../cloudformation/model';
import { S3_MODEL } from '../s3/model';
import { SQS_MODEL } from '../sqs/model';
import { SSM_MODEL } from '../ssm/service';
import { shapeOf, type Shape } from './shapes';

/** How a service's messages look on the wire. CloudWatch speaks several, as each SDK has its own favourite. */
export type ProtocolName = 'query' | 'json' | 'rest' | 'rest-xml' | 'cbor';

export interface OperationModel {
  readonly name: string;
  readonly input: Shape;
  readonly output: Shape;
  /** Method and path of a REST operation, and the status of its answer. */
  readonly http: { readonly method: string; readonly path: string; readonly status: number } | undefined;
}

/** An error that the service's model declares. */
export interface ErrorModel {
  /** The SDK's name for it. */
  readonly name: string;
  /** What the query protocol calls it. */
  readonly queryCode: string;
  readonly status: number;
  readonly shape: Shape;
}

export interface ServiceModel {
  readonly service: ServiceName;
  readonly protocols: readonly ProtocolName[];
  /** Whether answers in JSON also name errors as the query protocol did, for clients that match on those names. */
  readonly queryErrors: boolean;
  /** Version of the JSON protocol, as its content type says it. */
  readonly jsonVersion: '1.0' | '1.1';
  /** Namespace of the query protocol's XML answers. */
  readonly xmlNamespace: string;
  /** What stands before the operation in `X-Amz-Target`. */
  readonly target: string;
  readonly operations: ReadonlyMap<string, OperationModel>;
  readonly errors: ReadonlyMap<string, ErrorModel>;
}

type Facts = Pick<ServiceModel, 'service' | 'protocols' | 'target'> & {
  readonly sdk: object;
  readonly jsonVersion?: '1.0';
  readonly queryErrors?: true;
  readonly xmlNamespace?: string;
};

const FACTS: readonly Facts[] = [
  {
    service: 'rds',
    sdk: rds,
    protocols: ['query'],
    target: 'AmazonRDSv19',
    xmlNamespace: 'http://rds.amazonaws.com/doc/2014-10-31/',
  },
  {
    service: 'sns',
    sdk: sns,
    protocols: ['query'],
    target: 'AmazonSimpleNotificationService',
    xmlNamespace: 'http://sns.amazonaws.com/doc/2010-03-31/',
  },
  {
    service: 'sts',
    sdk: sts,
    protocols: ['query'],
    target: 'AWSSecurityTokenServiceV20110615',
    xmlNamespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
  },
  {
    service: 'cloudformation',
    sdk: CLOUDFORMATION_MODEL,
    protocols: ['query'],
    target: 'CloudFormation',
    xmlNamespace: 'http://cloudformation.amazonaws.com/doc/2010-05-15/',
  },
  { service: 'ssm', sdk: SSM_MODEL, protocols: ['json'], target: 'AmazonSSM' },
  { service: 'secretsmanager', sdk: secretsManager, protocols: ['json'], target: 'secretsmanager' },
  { service: 'events', sdk: eventbridge, protocols: ['json'], target: 'AWSEvents' },
  { service: 'ecs', sdk: ecs, protocols: ['json'], target: 'AmazonEC2ContainerServiceV20141113' },
  { service: 'states', sdk: sfn, protocols: ['json'], jsonVersion: '1.0', target: 'AWSStepFunctions' },
  {
    service: 'monitoring',
    sdk: cloudwatch,
    protocols: ['json', 'query', 'cbor'],
    queryErrors: true,
    jsonVersion: '1.0',
    target: 'GraniteServiceVersion20100801',
    xmlNamespace: 'http://monitoring.amazonaws.com/doc/2010-08-01/',
  },
  {
    service: 'sqs',
    sdk: SQS_MODEL,
    protocols: ['json'],
    queryErrors: true,
    jsonVersion: '1.0',
    target: 'AmazonSQS',
  },
  { service: 'lambda', sdk: lambda, protocols: ['rest'], target: 'AWSLambda' },
  { service: 's3', sdk: S3_MODEL, protocols: ['rest-xml'], target: 'AmazonS3' },
  { service: 'scheduler', sdk: scheduler, protocols: ['rest'], target: 'AWSChronosService' },
];

const models = new Map<string, ServiceModel>();

/** The services that the wire layer can speak for. */
export const MODELLED_SERVICES: readonly ServiceName[] = FACTS.map(({ service }) => service);

/** The model of a service, by the name that signatures give it; undefined for a service that the sandbox does not know. */
export function serviceModel(service: string): ServiceModel | undefined {
  const known = models.get(service);
  if (known) return known;
  const facts = FACTS.find((candidate) => candidate.service === service);
  if (!facts) return undefined;
  const model = build(facts);
  models.set(service, model);
  return model;
}

function build(facts: Facts): ServiceModel {
  const operations = new Map<string, OperationModel>();
  const errors = new Map<string, ErrorModel>();
  for (const [exported, value] of Object.entries<unknown>({ ...facts.sdk })) {
    if (!exported.endsWith('$') || !Array.isArray(value)) continue;
    if (isOperation(value)) operations.set(value[2], operationModel(value));
    else if (isError(value)) errors.set(value[2], errorModel(value));
  }
  return {
    service: facts.service,
    protocols: facts.protocols,
    queryErrors: facts.queryErrors ?? false,
    jsonVersion: facts.jsonVersion ?? '1.1',
    xmlNamespace: facts.xmlNamespace ?? '',
    target: facts.target,
    operations,
    errors,
  };
}

// The SDK marks what a schema is by its first element: 9 an operation, -3 an error.
function isOperation(schema: readonly unknown[]): schema is StaticOperationSchema {
  return schema[0] === 9;
}

function isError(schema: readonly unknown[]): schema is StaticErrorSchema {
  return schema[0] === -3;
}

function operationModel(schema: StaticOperationSchema): OperationModel {
  const [, , name, traits, input, output] = schema;
  const http: unknown = typeof traits === 'object' ? traits.http : undefined;
  return {
    name,
    // An operation without input or output has null there, which the SDK reads as the unit type.
    input: shapeOf(orUnit(input)),
    output: shapeOf(orUnit(output)),
    http: isHttp(http) ? { method: http[0], path: http[1], status: http[2] } : undefined,
  };
}

function orUnit<T>(schema: T): T | 'unit' {
  return schema ?? 'unit';
}

function isHttp(trait: unknown): trait is [string, string, number] {
  return Array.isArray(trait) && typeof trait[0] === 'string' && typeof trait[2] === 'number';
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

function errorModel(schema: StaticErrorSchema): ErrorModel {
  const name = schema[2];
  const traits: Readonly<Record<string, unknown>> = { ...NormalizedSchema.of(schema).getMergedTraits() };
  const query = traits['awsQueryError'];
  const http = traits['httpError'];
  const [queryCode, queryStatus] = isList(query) ? query : [];
  const fallback = traits['error'] === 'server' ? 500 : 400;
  return {
    name,
    queryCode: typeof queryCode === 'string' ? queryCode : name,
    status: typeof queryStatus === 'number' ? queryStatus : typeof http === 'number' ? http : fallback,
    shape: shapeOf(schema),
  };
}
