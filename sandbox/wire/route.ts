import { ApiError, NotInSandbox } from '../core/api';
import { cborProtocol } from './cbor-protocol';
import { jsonProtocol } from './json-protocol';
import { MODELLED_SERVICES, serviceModel, type ProtocolName, type ServiceModel } from './model';
import type { Protocol, WireRequest } from './protocol';
import { formOf, queryProtocol } from './query-protocol';
import { restProtocol } from './rest-protocol';
import { restXmlProtocol } from './rest-xml-protocol';

export interface Destination {
  readonly model: ServiceModel;
  readonly protocol: Protocol;
}

const PROTOCOLS: Readonly<Record<ProtocolName, Protocol>> = {
  query: queryProtocol,
  json: jsonProtocol,
  rest: restProtocol,
  'rest-xml': restXmlProtocol,
  cbor: cborProtocol,
};

/** The parts of a signature's credential: the access key, and the Region and the service that it was made for. */
export interface Credential {
  readonly accessKeyId: string;
  readonly region?: string;
  readonly service: string;
}

/** Who signed a request and for which service. The signature itself is not checked: the sandbox has no secrets to keep. */
export function credentialOf(request: WireRequest): Credential | undefined {
  const text =
    /Credential=([^,\s]+)/.exec(request.headers.authorization ?? '')?.[1] ??
    request.query.get('X-Amz-Credential') ??
    undefined;
  // <access key>/<date>/<Region>/<service>/aws4_request; the multi-Region signature leaves the Region out.
  const parts = text?.split('/');
  const accessKeyId = parts?.[0];
  const service = parts?.at(-2);
  if (accessKeyId === undefined || service === undefined) return undefined;
  const region = parts?.length === 5 ? parts[2] : undefined;
  return { accessKeyId, service, ...(region !== undefined && region !== '' && { region }) };
}

/**
 * The service that a request is for, and the protocol that it is written in.
 *
 * @throws {NotInSandbox} for a service that the sandbox does not know
 */
export function destinationOf(request: WireRequest): Destination {
  const model = modelOf(request);
  const name = protocolOf(request, model);
  return { model, protocol: PROTOCOLS[name] };
}

function modelOf(request: WireRequest): ServiceModel {
  const signed = credentialOf(request)?.service;
  if (signed !== undefined) {
    const model = serviceModel(signed);
    if (!model) throw new NotInSandbox(`the service "${signed}" (it has ${MODELLED_SERVICES.join(', ')})`);
    return model;
  }
  const model = MODELLED_SERVICES.map((service) => serviceModel(service)).find(
    (candidate) => candidate !== undefined && isFor(request, candidate),
  );
  if (model) return model;
  throw new ApiError(
    'MissingAuthenticationToken',
    `The request names no AWS service: it has no signature, and neither X-Amz-Target, Action nor its path ` +
      `(${request.method} ${request.path}) is one that the sandbox knows.`,
    403,
  );
}

/** For requests without a signature, such as a hand-written curl. */
function isFor(request: WireRequest, model: ServiceModel): boolean {
  const target = request.headers['x-amz-target'];
  if (typeof target === 'string') return target.startsWith(`${model.target}.`);
  return model.protocols.some(
    (protocol) =>
      (protocol === 'query' || protocol === 'rest') &&
      PROTOCOLS[protocol].operationOf(request, model) !== undefined,
  );
}

function protocolOf(request: WireRequest, model: ServiceModel): ProtocolName {
  const wanted =
    model.protocols.find((protocol) => protocol === 'rest' || protocol === 'rest-xml') ??
    protocolByLook(request);
  if (model.protocols.includes(wanted)) return wanted;
  throw new ApiError(
    'UnknownOperationException',
    `${model.service} does not speak the protocol of this request (${wanted}); it speaks ${model.protocols.join(', ')}.`,
  );
}

/** In which protocol to refuse a request that could not be told apart further. */
export function protocolByLookOf(request: WireRequest): Protocol {
  return PROTOCOLS[protocolByLook(request)];
}

function protocolByLook(request: WireRequest): ProtocolName {
  if (request.headers['smithy-protocol'] === 'rpc-v2-cbor') return 'cbor';
  if (request.headers['x-amz-target'] !== undefined) return 'json';
  return formOf(request).has('Action') ? 'query' : 'json';
}
