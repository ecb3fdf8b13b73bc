import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import { z } from 'zod';
import type { Account } from '../core/account';
import type { LambdaService } from '../lambda/service';
import type { Authority } from '../postgres/contract';

/** What a custom resource answers to CloudFormation. */
export const CustomResourceResponse = z.object({
  Status: z.enum(['SUCCESS', 'FAILED']),
  Reason: z.string().optional(),
  PhysicalResourceId: z.string().min(1).optional(),
  NoEcho: z.boolean().optional(),
  Data: z.record(z.string(), z.json()).nullish(),
});
export type CustomResourceResponse = z.infer<typeof CustomResourceResponse>;

const MAX_RESPONSE_BYTES = 4096;

/**
 * Where custom resources put their answers. The URL is the one of AWS (S3 on port 443, since the CDK's framework drops
 * the port of any other); functions' connections to it are led here.
 */
export class ResponseEndpoint {
  private readonly waiting = new Map<string, (response: CustomResourceResponse) => void>();

  private constructor(
    private readonly server: Server,
    private readonly host: string,
  ) {}

  static async start(
    account: Account,
    lambda: LambdaService,
    authority: Authority,
  ): Promise<ResponseEndpoint> {
    const { region } = account;
    const host = `cloudformation-custom-resource-response-${region.replaceAll('-', '')}.s3.${region}.amazonaws.com`;
    const { certificate, key } = await authority.issue([host]);
    const server = createServer({ cert: certificate, key });
    const endpoint = new ResponseEndpoint(server, host);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const accepted =
          request.method === 'PUT' && endpoint.accept(request.url ?? '', Buffer.concat(chunks));
        response.writeHead(accepted ? 200 : 403).end();
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('The endpoint has no port.');
    await lambda.route({ host, port: 443, address: { host: '127.0.0.1', port: address.port } });
    return endpoint;
  }

  /** A URL that takes one answer, and that answer. */
  expect(): { url: string; response: Promise<CustomResourceResponse>; forget: () => void } {
    const path = `/${randomUUID()}`;
    const response = new Promise<CustomResourceResponse>((resolve) => this.waiting.set(path, resolve));
    return { url: `https://${this.host}${path}`, response, forget: () => this.waiting.delete(path) };
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private accept(path: string, body: Buffer): boolean {
    const resolve = this.waiting.get(path);
    if (!resolve) return false;
    this.waiting.delete(path);
    resolve(parseResponse(body));
    return true;
  }
}

function parseResponse(body: Buffer): CustomResourceResponse {
  const failed = (Reason: string): CustomResourceResponse => ({ Status: 'FAILED', Reason });
  if (body.length > MAX_RESPONSE_BYTES) return failed('Response object is too long.');
  try {
    const parsed = CustomResourceResponse.safeParse(JSON.parse(body.toString('utf8')));
    return parsed.success ? parsed.data : failed('Invalid response object.');
  } catch {
    return failed('Response is not valid JSON.');
  }
}
