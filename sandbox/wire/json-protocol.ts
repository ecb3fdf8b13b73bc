import { ApiError, type Output } from '../core/api';
import { isObject, readJson, writeJson } from './json-values';
import type { OperationModel, ServiceModel } from './model';
import type { Protocol, WireError, WireReply, WireRequest } from './protocol';

/** AWS JSON 1.0 and 1.1: the operation in `X-Amz-Target`, everything else in a JSON body. */
export const jsonProtocol: Protocol = {
  nameOf(request) {
    const target = request.headers['x-amz-target'];
    return typeof target === 'string' ? target.slice(target.lastIndexOf('.') + 1) : '';
  },

  operationOf(request, model) {
    return model.operations.get(this.nameOf(request));
  },

  readInput(request: WireRequest, operation: OperationModel) {
    return readJsonBody(operation, request.body);
  },

  writeOutput(output: Output, operation: OperationModel, model: ServiceModel, requestId: string): WireReply {
    const body =
      operation.output.kind === 'unit' ? '' : JSON.stringify(writeJson(operation.output, output, 'model'));
    return { status: 200, headers: headers(model, requestId), body };
  },

  writeError(error: WireError, model: ServiceModel, requestId: string): WireReply {
    return {
      status: error.status,
      headers: {
        ...headers(model, requestId),
        'x-amzn-errortype': error.name,
        // How services that left the query protocol keep their old error codes for clients that match on them.
        ...(model.queryErrors
          ? { 'x-amzn-query-error': `${error.queryCode};${error.status < 500 ? 'Sender' : 'Receiver'}` }
          : {}),
      },
      body: errorBody(error),
    };
  },
};

/** The error as a JSON object, with its type for clients that do not look at the headers. */
export function errorBody(error: WireError): string {
  return JSON.stringify({
    __type: error.name,
    [error.messageMember]: error.message,
    ...error.members,
  });
}

function readJsonBody(operation: OperationModel, body: Buffer): Record<string, unknown> {
  const input = readJson(operation.input, parseBody(body), 'model');
  return isObject(input) ? { ...input } : {};
}

/** @throws {ApiError} SerializationException when the body is not JSON */
export function parseBody(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    // The parser's own message quotes the body, which may hold a secret.
    throw new ApiError('SerializationException', 'The body of the request is not JSON.');
  }
}

function headers(model: ServiceModel, requestId: string): Record<string, string> {
  return {
    'content-type': `application/x-amz-json-${model.jsonVersion}`,
    'x-amzn-requestid': requestId,
  };
}
