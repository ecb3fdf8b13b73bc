import type { Output } from '../core/api';
import type { OperationModel, ServiceModel } from './model';
import type { Protocol, WireError, WireReply, WireRequest } from './protocol';
import { readQuery } from './query-input';
import { element, writeXml } from './xml';

/** AWS query: `Action=` and the input as a form, the answer as XML. */
export const queryProtocol: Protocol = {
  nameOf(request) {
    return formOf(request).get('Action') ?? '';
  },

  operationOf(request, model) {
    return model.operations.get(this.nameOf(request));
  },

  readInput(request: WireRequest, operation: OperationModel, model: ServiceModel) {
    return readQuery(
      operation.input,
      formOf(request),
      model.service === 'rds' ? 'MissingParameter' : 'ValidationError',
    );
  },

  writeOutput(output: Output, operation: OperationModel, model: ServiceModel, requestId: string): WireReply {
    const result =
      operation.output.kind === 'unit'
        ? ''
        : element(`${operation.name}Result`, writeXml(operation.output, output));
    return {
      status: 200,
      headers: headers(requestId),
      body:
        `<${operation.name}Response xmlns="${model.xmlNamespace}">${result}` +
        `<ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${operation.name}Response>`,
    };
  },

  writeError(error: WireError, model: ServiceModel, requestId: string): WireReply {
    return {
      status: error.status,
      headers: { ...headers(requestId), 'x-amzn-errortype': error.queryCode },
      body:
        `<ErrorResponse xmlns="${model.xmlNamespace}"><Error>` +
        `<Type>${error.status < 500 ? 'Sender' : 'Receiver'}</Type>` +
        writeXml({ kind: 'string' }, error.queryCode, 'Code') +
        writeXml({ kind: 'string' }, error.message, 'Message') +
        `</Error><RequestId>${requestId}</RequestId></ErrorResponse>`,
    };
  },
};

const forms = new WeakMap<WireRequest, URLSearchParams>();

/** The parameters of a request: of its body, or of its address when it is a GET (a presigned one). */
export function formOf(request: WireRequest): URLSearchParams {
  let form = forms.get(request);
  if (!form) {
    form = request.method === 'GET' ? request.query : new URLSearchParams(request.body.toString('utf8'));
    forms.set(request, form);
  }
  return form;
}

function headers(requestId: string): Record<string, string> {
  return { 'content-type': 'text/xml', 'x-amzn-requestid': requestId };
}
