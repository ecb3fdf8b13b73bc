import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ApiError, type ServiceName } from '../core/api';
import { serviceModel } from '../wire/model';

/** Errors that every operation of AWS may answer, with their HTTP status (the page "Common Errors" of each API reference). */
const COMMON_ERRORS: ReadonlyMap<string, number> = new Map([
  ['AccessDeniedException', 400],
  ['ExpiredTokenException', 403],
  ['IncompleteSignature', 403],
  ['InternalFailure', 500],
  ['InternalServiceError', 500],
  ['InvalidClientTokenId', 403],
  ['NotAuthorized', 401],
  ['OptInRequired', 403],
  ['RequestExpired', 400],
  ['RequestLimitExceeded', 503],
  ['ServiceUnavailable', 503],
  ['UnrecognizedClientException', 403],
  ['ValidationError', 400],
]);

interface Throttling {
  readonly code: string;
  readonly status: number;
  readonly members?: Readonly<Record<string, unknown>>;
}

/** How a service says "too often". The query protocol has a code of its own; Lambda and Scheduler have a status of theirs. */
function throttlingOf(service: ServiceName): Throttling {
  switch (service) {
    case 'rds':
    case 'sns':
    case 'sts':
    case 'monitoring':
      return { code: 'Throttling', status: 400 };
    case 'lambda':
      return {
        code: 'TooManyRequestsException',
        status: 429,
        members: { Reason: 'CallerRateLimitExceeded', Type: 'User' },
      };
    case 'scheduler':
      return { code: 'ThrottlingException', status: 429 };
    default:
      return { code: 'ThrottlingException', status: 400 };
  }
}

/** What a service answers to a caller that asks too often; every SDK tries again after it. */
export function throttled(service: ServiceName): ApiError {
  const { code, status, members = {} } = throttlingOf(service);
  return new ApiError(code, 'Rate exceeded', status, { ...members });
}

/** Whether any operation of any service may answer with this error. */
export function isCommonError(code: string): boolean {
  return COMMON_ERRORS.has(code);
}

/** The SDK's names of the errors that an operation may answer: those of its own model, and those common to all. */
export function errorsOf(service: ServiceName, operation: string): string[] {
  return [...declaredErrors(service, operation), throttlingOf(service).code, ...COMMON_ERRORS.keys()];
}

/**
 * An error as the operation answers it; `code` may be the SDK's name or, of the query protocol, that on the wire. Undefined
 * for one that the operation does not have.
 */
export function errorOf(
  service: ServiceName,
  operation: string,
  code: string,
  message: string,
): ApiError | undefined {
  const errors = serviceModel(service)?.errors;
  const name = errorsOf(service, operation).find(
    (candidate) => candidate === code || errors?.get(candidate)?.queryCode === code,
  );
  if (name === undefined) return undefined;
  if (name === throttlingOf(service).code) return throttled(service);
  return new ApiError(name, message, errors?.get(name)?.status ?? COMMON_ERRORS.get(name) ?? 400);
}

const declared = new Map<string, readonly string[]>();

/**
 * Which operation has which errors is in the SDK's model, but of what the SDK is made of only its typings still say it.
 * An operation that they say nothing about (`*`) has every error of its service.
 */
function declaredErrors(service: ServiceName, operation: string): readonly string[] {
  const key = `${service}:${operation}`;
  const known = declared.get(key);
  if (known) return known;
  const all = serviceModel(service)?.errors ?? new Map<string, unknown>();
  const found = operation.includes('*')
    ? [...all.keys()]
    : [...typingsOf(service, operation).matchAll(/@throws \{@link (\w+)\}/g)].flatMap(([, name]) =>
        name !== undefined && all.has(name) ? [name] : [],
      );
  declared.set(key, found);
  return found;
}

function typingsOf(service: ServiceName, operation: string): string {
  const main = require.resolve(`@aws-sdk/client-${SDK_NAMES[service] ?? service}`);
  return readFileSync(
    join(dirname(main), '..', 'dist-types', 'commands', `${operation}Command.d.ts`),
    'utf8',
  );
}

/** Where a client's name is not the service's. */
const SDK_NAMES: Partial<Record<ServiceName, string>> = {
  secretsmanager: 'secrets-manager',
  states: 'sfn',
  events: 'eventbridge',
  monitoring: 'cloudwatch',
};
