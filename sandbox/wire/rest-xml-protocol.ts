import type { Output } from '../core/api';
import type { OperationModel, ServiceModel } from './model';
import type { Protocol, WireError, WireReply } from './protocol';
import { restProtocol } from './rest-protocol';
import { element, writeXml } from './xml';

/** REST XML, which only S3 speaks here: requests as in REST JSON, documents in answers as XML. Buckets stand in the path. */
export const restXmlProtocol: Protocol = {
  ...restProtocol,

  writeOutput(output: Output, operation: OperationModel, model: ServiceModel, requestId: string): WireReply {
    const { status, headers, body } = restProtocol.writeOutput(output, operation, model, requestId);
    const { output: shape } = operation;
    const common = { ...headers, 'x-amz-request-id': requestId };
    if (shape.kind !== 'structure') return { status, headers: common, body: '' };
    const places = [...shape.members.values()].map(({ place }) => place.in);
    if (places.includes('payload')) return { status, headers: common, body };
    if (!places.includes('body')) return { status, headers: common, body: '' };
    return {
      status,
      headers: { ...common, 'content-type': 'application/xml' },
      body: `<?xml version="1.0" encoding="UTF-8"?>\n${document(operation.name, writeXml(shape, output))}`,
    };
  },

  writeError(error: WireError, _model: ServiceModel, requestId: string): WireReply {
    const content =
      writeXml({ kind: 'string' }, error.name, 'Code') +
      writeXml({ kind: 'string' }, error.message, 'Message') +
      writeXml({ kind: 'string' }, requestId, 'RequestId');
    return {
      status: error.status,
      headers: { 'content-type': 'application/xml', 'x-amz-request-id': requestId },
      body: `<?xml version="1.0" encoding="UTF-8"?>\n${element('Error', content)}`,
    };
  },
};

/** S3 names its documents as its first version did. */
const ROOTS: Readonly<Record<string, string>> = {
  ListObjectsV2: 'ListBucketResult',
  ListObjectVersions: 'ListVersionsResult',
  GetBucketEncryption: 'ServerSideEncryptionConfiguration',
};

/** The one member of a bucket's location is a document of its own. */
function document(operation: string, content: string): string {
  const root = ROOTS[operation];
  return root === undefined ? content : element(root, content);
}
