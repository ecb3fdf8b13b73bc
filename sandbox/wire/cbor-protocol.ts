import { cbor, tag } from '@smithy/core/cbor';
import { ApiError, type Output } from '../core/api';
import { asBytes, asDate, givenMembers, isObject, readJson, writeJson } from './json-values';
import type { OperationModel, ServiceModel } from './model';
import type { Protocol, WireError, WireReply, WireRequest } from './protocol';
import type { Shape } from './shapes';

/** Smithy's RPC protocol with CBOR: the operation stands in the path, `/service/<target>/operation/<name>`. boto3's for CloudWatch. */
export const cborProtocol: Protocol = {
  nameOf(request) {
    return request.path.slice(request.path.lastIndexOf('/') + 1);
  },

  operationOf(request, model) {
    return model.operations.get(this.nameOf(request));
  },

  readInput(request: WireRequest, operation: OperationModel) {
    const input = readJson(operation.input, plain(decoded(request.body)), 'model');
    return isObject(input) ? { ...input } : {};
  },

  writeOutput(output: Output, operation: OperationModel, _model: ServiceModel, requestId: string): WireReply {
    const body =
      operation.output.kind === 'unit'
        ? new Uint8Array()
        : cbor.serialize(writeCbor(operation.output, output));
    return { status: 200, headers: headers(requestId), body };
  },

  writeError(error: WireError, model: ServiceModel, requestId: string): WireReply {
    return {
      status: error.status,
      headers: {
        ...headers(requestId),
        ...(model.queryErrors && {
          'x-amzn-query-error': `${error.queryCode};${error.status < 500 ? 'Sender' : 'Receiver'}`,
        }),
      },
      body: cbor.serialize({ __type: error.name, [error.messageMember]: error.message, ...error.members }),
    };
  },
};

function headers(requestId: string): Record<string, string> {
  return {
    'content-type': 'application/cbor',
    'smithy-protocol': 'rpc-v2-cbor',
    'x-amzn-requestid': requestId,
  };
}

/** @throws {ApiError} SerializationException when the body is not CBOR */
function decoded(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return cbor.deserialize(body);
  } catch {
    throw new ApiError('SerializationException', 'The body of the request is not CBOR.');
  }
}

/** CBOR's values as JSON has them: times as seconds, bytes as base64. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Date) return value.getTime() / 1000;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value === 'bigint') return Number(value);
  if (!isObject(value)) return value;
  if ('tag' in value && 'value' in value && Object.keys(value).length === 2) return plain(value['value']);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)]));
}

/** An answer by its shape, with times marked as such. */
function writeCbor(shape: Shape, value: unknown, path = 'output'): unknown {
  switch (shape.kind) {
    case 'structure':
      return Object.fromEntries(
        givenMembers(shape, value, path).map(([member, item]) => [
          member.name,
          writeCbor(member.shape, item, `${path}.${member.name}`),
        ]),
      );
    case 'list':
      return Array.isArray(value)
        ? value.map((item: unknown, index) => writeCbor(shape.item.shape, item, `${path}[${index}]`))
        : writeJson(shape, value, 'model', path);
    case 'timestamp':
      return tag({ tag: 1, value: asDate(value, path).getTime() / 1000 });
    case 'blob':
      return asBytes(value, path);
    default:
      return writeJson(shape, value, 'model', path);
  }
}
