import { ApiError, NotInSandbox } from '../core/api';
import { matches, parsePattern } from '../events/pattern';
import type { PublishedMessage } from './message';

/** A subscription of a topic. Plain data. */
export interface Subscription {
  readonly arn: string;
  readonly topicArn: string;
  readonly protocol: Protocol;
  readonly endpoint: string;
  /** What was sent to the endpoint to confirm it with; undefined once it is confirmed. */
  token: string | undefined;
  attributes: Record<string, string>;
}

export type Protocol = 'email' | 'email-json' | 'lambda' | 'sqs';

const ENDPOINTS: Readonly<Record<Protocol, RegExp>> = {
  email: /^[^@\s]+@[^@\s]+$/,
  'email-json': /^[^@\s]+@[^@\s]+$/,
  lambda: /^arn:aws[\w-]*:lambda:[^:]+:\d{12}:function:[\w:$-]+$/,
  sqs: /^arn:aws[\w-]*:sqs:[^:]+:\d{12}:[\w-]+$/,
};

const ATTRIBUTES = ['FilterPolicy', 'FilterPolicyScope', 'RawMessageDelivery', 'RedrivePolicy'];

/** @throws {ApiError} for an endpoint that the protocol does not fit, or a protocol that the sandbox does not have */
export function checkedProtocol(protocol: string, endpoint: string): Protocol {
  if (['http', 'https', 'sms', 'application', 'firehose'].includes(protocol))
    throw new NotInSandbox(`subscriptions with the protocol ${protocol}`);
  if (!isProtocol(protocol)) throw invalid(`Does not support this protocol string: ${protocol}`);
  if (!ENDPOINTS[protocol].test(endpoint))
    throw invalid(protocol.startsWith('email') ? 'Email address' : `${protocol.toUpperCase()} endpoint ARN`);
  return protocol;
}

function isProtocol(protocol: string): protocol is Protocol {
  return protocol in ENDPOINTS;
}

/** Whoever reads mail has to agree to get it; AWS's own endpoints of the same account need not. */
export function needsConfirmation(protocol: Protocol): boolean {
  return protocol === 'email' || protocol === 'email-json';
}

/** @throws {ApiError} InvalidParameterException, or a refusal of an attribute that the sandbox does not have */
export function checkAttribute(name: string, value: string): void {
  if (!ATTRIBUTES.includes(name)) throw new NotInSandbox(`the subscription attribute ${name}`);
  if (name === 'FilterPolicyScope' && !['MessageAttributes', 'MessageBody'].includes(value))
    throw invalid('FilterPolicyScope: Invalid value');
  if (name === 'RawMessageDelivery' && !/^(true|false)$/i.test(value))
    throw invalid('RawMessageDelivery: Invalid value');
  if (name === 'FilterPolicy' && value !== '' && value !== '{}')
    try {
      parsePattern(value);
    } catch (error) {
      const text = error instanceof Error ? error.message : '';
      throw invalid(`FilterPolicy: ${text.replace(/^.*Reason: /, '')}`);
    }
  if (name === 'RedrivePolicy' && value !== '' && deadLetterQueue(value) === undefined)
    throw invalid('RedrivePolicy: failed to parse JSON.');
}

/** ARN of the queue of a RedrivePolicy. */
export function deadLetterQueue(redrivePolicy: string): string | undefined {
  return /"deadLetterTargetArn"\s*:\s*"(arn:[^"]+)"/.exec(redrivePolicy)?.[1];
}

/** Whether a subscription's filter policy lets a message through. */
export function wants({ attributes }: Subscription, message: PublishedMessage): boolean {
  const policy = attributes['FilterPolicy'];
  if (policy === undefined || policy === '' || policy === '{}') return true;
  const subject = attributes['FilterPolicyScope'] === 'MessageBody' ? bodyOf(message) : valuesOf(message);
  return subject !== undefined && matches(parsePattern(policy), subject);
}

function bodyOf({ message }: PublishedMessage): unknown {
  try {
    return JSON.parse(message);
  } catch {
    return undefined;
  }
}

/** Attributes as a filter policy compares them. */
function valuesOf({ attributes }: PublishedMessage): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, { type, value }]): [string, unknown] => {
      if (type.startsWith('Number')) return [name, Number(value)];
      if (type !== 'String.Array') return [name, value];
      try {
        return [name, JSON.parse(value)];
      } catch {
        return [name, undefined];
      }
    }),
  );
}

function invalid(what: string): ApiError {
  return new ApiError('InvalidParameterException', `Invalid parameter: ${what}`);
}
