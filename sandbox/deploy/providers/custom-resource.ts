import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { NotInSandbox } from '../../core/api';
import { isObject, type Json, type JsonObject } from '../json';
import type { Provider } from '../resource';

const Invoked = z.object({
  FunctionError: z.string().optional(),
  Payload: z.instanceof(Uint8Array).optional(),
});
const Failure = z.object({ errorType: z.string(), errorMessage: z.string() });
/** CloudFormation waits an hour for the answer where the template does not say otherwise. */
const DEFAULT_TIMEOUT_SECONDS = 3600;

/** A custom resource that is made or updated: its function is invoked and answers, itself or through a machine, to the response URL. */
export const customResource: Provider = async (properties, request) => {
  const { ServiceToken, ServiceTimeout, ...own } = properties;
  if (typeof ServiceToken !== 'string' || !ServiceToken.includes(':lambda:'))
    throw new Error('A custom resource needs the ARN of a function as its ServiceToken.');
  const { earlier } = request;
  const endpoint = await request.responses();
  const { url, response, forget } = endpoint.expect();
  const timeout = new AbortController();
  try {
    const event = {
      RequestType: earlier ? 'Update' : 'Create',
      ServiceToken,
      ResponseURL: url,
      StackId: request.stackId,
      RequestId: randomUUID(),
      LogicalResourceId: request.logicalId,
      ResourceType: request.type,
      ResourceProperties: { ServiceToken, ...asTexts(own) },
      ...(earlier && {
        PhysicalResourceId: earlier.physicalId,
        OldResourceProperties: asTexts(earlier.properties),
      }),
    };
    const payload = Buffer.from(JSON.stringify(event));
    const invoked = Invoked.parse(
      await request.call('lambda', 'Invoke', { FunctionName: ServiceToken, Payload: payload }),
    );
    // On AWS the resource would wait for its timeout now: a function that failed answers no more.
    if (invoked.FunctionError !== undefined) {
      const failure = Failure.parse(JSON.parse(Buffer.from(invoked.Payload ?? []).toString()));
      throw new Error(`its function failed without an answer: ${failure.errorType}: ${failure.errorMessage}`);
    }
    const seconds = Number(ServiceTimeout ?? DEFAULT_TIMEOUT_SECONDS);
    const late = request.context.clock
      .sleep(seconds * 1000, { background: true, signal: timeout.signal })
      .then(() => Promise.reject(new Error(`its function did not answer within ${seconds} s`)));
    const answer = await Promise.race([response, late]);
    if (answer.Status === 'FAILED') throw new Error(answer.Reason ?? 'its function answered FAILED');
    if (answer.PhysicalResourceId === undefined)
      throw new Error('its function answered no PhysicalResourceId');
    // CloudFormation would have the one before deleted.
    if (earlier && answer.PhysicalResourceId !== earlier.physicalId)
      throw new NotInSandbox(`another PhysicalResourceId after an update of ${request.type}`);
    return { physicalId: answer.PhysicalResourceId, attributes: flattened(answer.Data ?? {}) };
  } finally {
    timeout.abort(new Error('The answer has come.'));
    forget();
  }
};

/** CloudFormation hands every plain value over as text. */
function asTexts(value: JsonObject): JsonObject {
  const convert = (item: Json): Json => {
    if (Array.isArray(item)) return item.map(convert);
    if (isObject(item)) return asTexts(item);
    return item === null ? item : String(item);
  };
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, convert(item)]));
}

function flattened(data: Record<string, unknown>): Record<string, Json> {
  return z.record(z.string(), z.json()).parse(data);
}
