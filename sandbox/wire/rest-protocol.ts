import { ApiError, type Output } from '../core/api';
import { errorBody, parseBody } from './json-protocol';
import { asBytes, asDate, badOutput, givenMembers, isObject, readJson, writeJson } from './json-values';
import type { OperationModel, ServiceModel } from './model';
import {
  inMessage,
  missingMembers,
  unknownMember,
  type Protocol,
  type WireError,
  type WireReply,
  type WireRequest,
} from './protocol';
import type { Member, Shape, StructureShape } from './shapes';
import { readTimestamp, writeTimestamp } from './timestamps';

/** REST JSON: method and path name the operation; input and output are spread over path, query, headers and body. */
export const restProtocol: Protocol = {
  nameOf(request) {
    return `${request.method} ${request.path}`;
  },

  operationOf(request, model) {
    return routesOf(model).find((route) => route.matches(request))?.operation;
  },

  readInput(request: WireRequest, operation: OperationModel, model: ServiceModel) {
    const route = routesOf(model).find((candidate) => candidate.operation === operation);
    if (!route || operation.input.kind !== 'structure') return {};
    return readInput(request, operation.input, route.labelsOf(request));
  },

  writeOutput(output: Output, operation: OperationModel, _model: ServiceModel, requestId: string): WireReply {
    const status = operation.http?.status ?? 200;
    const common = { 'x-amzn-requestid': requestId };
    const reply: WireReply = {
      status,
      headers: { ...common, 'content-type': 'application/json' },
      body: '',
    };
    if (operation.output.kind !== 'structure') return reply;
    return writeOutput(operation.output, output, reply);
  },

  writeError(error: WireError, _model: ServiceModel, requestId: string): WireReply {
    return {
      status: error.status,
      headers: {
        'content-type': 'application/json',
        'x-amzn-requestid': requestId,
        'x-amzn-errortype': error.name,
      },
      body: errorBody(error),
    };
  },
};

interface Route {
  readonly operation: OperationModel;
  matches(request: WireRequest): boolean;
  labelsOf(request: WireRequest): Readonly<Record<string, string>>;
}

const routes = new Map<ServiceModel, readonly Route[]>();

/** The operations of a service, those with fewer placeholders first: they are the more exact ones. */
function routesOf(model: ServiceModel): readonly Route[] {
  let known = routes.get(model);
  if (!known) {
    known = [...model.operations.values()]
      .flatMap((operation) => (operation.http ? [{ operation, http: operation.http }] : []))
      .sort((a, b) => placeholders(a.http.path) - placeholders(b.http.path))
      .map(({ operation, http }) => route(operation, http.method, http.path));
    routes.set(model, known);
  }
  return known;
}

function placeholders(path: string): number {
  return path.split('{').length;
}

function route(operation: OperationModel, method: string, template: string): Route {
  const [path = '', constants = ''] = template.split('?');
  const labels: string[] = [];
  const pattern = path
    .split(/(\{[^}]+\})/)
    .map((part) => {
      const label = /^\{([^}+]+)(\+?)\}$/.exec(part);
      if (!label?.[1]) return part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
      labels.push(label[1]);
      // A greedy label takes slashes too.
      return label[2] ? '(.+)' : '([^/]+)';
    })
    .join('');
  const matcher = new RegExp(`^${pattern.replace(/\/$/, '')}/?$`);
  const wanted = [...new URLSearchParams(constants)];
  return {
    operation,
    matches: (request) =>
      request.method === method &&
      matcher.test(request.path) &&
      wanted.every(([name, value]) => request.query.get(name) === value),
    labelsOf: (request) => {
      const found = matcher.exec(request.path) ?? [];
      return Object.fromEntries(labels.map((label, index) => [label, decode(found[index + 1] ?? '')]));
    },
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ApiError('SerializationException', 'The path of the request is not percent-encoded properly.');
  }
}

function readInput(
  request: WireRequest,
  shape: StructureShape,
  labels: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  const bodyMembers = new Map<string, Member>();
  const queryNames = new Set<string>();
  let payload: Member | undefined;
  for (const member of shape.members.values()) {
    const { place } = member;
    const text = textFor(member, request, labels);
    if (place.in === 'query') queryNames.add(place.name);
    if (place.in === 'payload') payload = member;
    else if (place.in === 'body') bodyMembers.set(member.name, member);
    else if (place.in === 'query-map') input[member.name] = Object.fromEntries(request.query);
    else if (place.in === 'query' && member.shape.kind === 'list') {
      const { item } = member.shape;
      const values = request.query.getAll(place.name);
      if (values.length > 0)
        input[member.name] = values.map((value) => readText(item.shape, value, member.name));
    } else if (text !== undefined) input[member.name] = readText(member.shape, text, member.name);
  }
  for (const name of request.query.keys())
    // Clients of S3 name the operation in x-id as well.
    if (!queryNames.has(name) && !/^(X-Amz-|x-id$)/i.test(name))
      throw unknownMember('ValidationException', name, `the query of ${shape.name}`, queryNames);
  if (payload) {
    if (request.body.length > 0)
      input[payload.name] =
        payload.shape.kind === 'blob'
          ? new Uint8Array(request.body)
          : readJson(payload.shape, parseBody(request.body), 'jsonName');
  } else {
    const body = readJson({ ...bodyShape(shape), members: bodyMembers }, parseBody(request.body), 'jsonName');
    if (isObject(body)) Object.assign(input, body);
  }
  const missing = [...shape.members.values()].filter(
    (member) => member.required && input[member.name] === undefined,
  );
  if (missing.length > 0)
    throw missingMembers(
      'ValidationException',
      missing.map(({ name }) => inMessage([name])),
    );
  return input;
}

function bodyShape(shape: StructureShape): Omit<StructureShape, 'members'> {
  return { kind: 'structure', name: shape.name, union: false };
}

function textFor(
  { name, place }: Member,
  request: WireRequest,
  labels: Readonly<Record<string, string>>,
): string | undefined {
  switch (place.in) {
    case 'label':
      return labels[name];
    case 'query':
      return request.query.get(place.name) ?? undefined;
    case 'header': {
      const value = request.headers[place.name];
      return Array.isArray(value) ? value.join(',') : value;
    }
    default:
      return undefined;
  }
}

function readText(shape: Shape, text: string, name: string): unknown {
  const wrong = (wanted: string): ApiError =>
    new ApiError('SerializationException', `STRING_VALUE can not be converted to ${wanted}: ${name}`);
  switch (shape.kind) {
    case 'number': {
      const value = Number(text);
      if (text.trim() === '' || Number.isNaN(value)) throw wrong('a Number');
      return value;
    }
    case 'boolean':
      if (text !== 'true' && text !== 'false') throw wrong('a Boolean');
      return text === 'true';
    case 'timestamp': {
      const date = readTimestamp(text);
      if (!date) throw wrong('a Timestamp');
      return date;
    }
    case 'string':
      return text;
    default:
      throw wrong(`a ${shape.kind}`);
  }
}

function writeOutput(shape: StructureShape, output: Output, reply: WireReply): WireReply {
  let { status } = reply;
  const headers: Record<string, string> = { ...reply.headers };
  const bodyMembers: [Member, unknown][] = [];
  let payload: string | Uint8Array | undefined;
  for (const [member, value] of givenMembers(shape, output, 'output')) {
    const { place } = member;
    const path = `output.${member.name}`;
    switch (place.in) {
      case 'status':
        if (typeof value !== 'number') throw badOutput(path, 'a status', value);
        status = value;
        break;
      case 'header':
        headers[place.name] = headerText(member.shape, value, path);
        break;
      case 'payload':
        payload =
          member.shape.kind === 'blob'
            ? asBytes(value, path)
            : JSON.stringify(writeJson(member.shape, value, 'jsonName', path));
        break;
      default:
        bodyMembers.push([member, value]);
    }
  }
  const hasPayload = [...shape.members.values()].some(({ place }) => place.in === 'payload');
  const body = Object.fromEntries(
    bodyMembers.map(([member, value]) => [
      member.jsonName ?? member.name,
      writeJson(member.shape, value, 'jsonName', `output.${member.name}`),
    ]),
  );
  // 204 is an answer without a body, as of Lambda's DryRun.
  const text = hasPayload ? (payload ?? '') : status === 204 ? '' : JSON.stringify(body);
  return { status, headers, body: text };
}

function headerText(shape: Shape, value: unknown, path: string): string {
  if (shape.kind === 'timestamp')
    return String(writeTimestamp(asDate(value, path), shape.format ?? 'http-date'));
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  throw badOutput(path, 'a text', value);
}
