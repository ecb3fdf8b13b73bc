import { ApiError, NotInSandbox } from '../core/api';
import { isObject } from './json-values';
import type { ServiceModel } from './model';
import type { WireError } from './protocol';
import type { Shape } from './shapes';

/** An error of a service, spelt as that service spells it. Anything that is no ApiError becomes AWS's InternalFailure. */
export function wireErrorOf(error: unknown, model: ServiceModel | undefined): WireError {
  if (!(error instanceof ApiError))
    return {
      name: 'InternalFailure',
      queryCode: 'InternalFailure',
      message: 'The request processing has failed because of an error in the sandbox: see its log.',
      status: 500,
      members: {},
      messageMember: 'message',
    };
  const declared = model?.errors.get(error.code);
  return {
    name: error.code,
    queryCode: declared?.queryCode ?? error.code,
    message: error.message,
    status: declared?.status ?? statusOf(error),
    members: declared ? declaredMembers(error.members, declared.shape) : {},
    messageMember:
      declared?.shape.kind === 'structure' && declared.shape.members.has('Message') ? 'Message' : 'message',
  };
}

function statusOf(error: ApiError): number {
  // Clients retry every 5xx, some for minutes; what is not there will not be there the next time either.
  return error instanceof NotInSandbox ? 400 : error.status;
}

function declaredMembers(members: unknown, shape: Shape): Record<string, unknown> {
  if (!isObject(members) || shape.kind !== 'structure') return {};
  return Object.fromEntries(Object.entries(members).filter(([name]) => shape.members.has(name)));
}
