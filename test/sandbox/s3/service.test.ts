import { z } from 'zod';
import { VirtualClock } from '../../../sandbox/core/clock';
import { S3Service } from '../../../sandbox/s3/service';
import { serve, type Served } from '../wire/served';

/** Who signs says that it is for S3; the signature itself is not checked. */
const SIGNED = {
  authorization:
    'AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/eu-central-1/s3/aws4_request, SignedHeaders=host, Signature=0',
};

describe('S3', () => {
  const clock = new VirtualClock();
  let served: Served<{ s3: S3Service }>;

  beforeAll(async () => {
    served = await serve((context) => ({ s3: new S3Service(context) }), clock);
    await make('records', true);
    await make('plain', false);
  });
  afterAll(() => served.close());

  /** As a stack makes it. */
  async function make(name: string, versioned: boolean): Promise<void> {
    const { api, callers } = served.context;
    const call = (operation: string, input: object) =>
      api.call('s3', operation, { Bucket: name, ...input }, callers.administrator());
    await call('CreateBucket', {});
    if (versioned) await call('PutBucketVersioning', { VersioningConfiguration: { Status: 'Enabled' } });
  }

  async function request(method: string, path: string, body?: string, headers = {}): Promise<Response> {
    return fetch(`${served.client.endpoint}${path}`, {
      method,
      headers: { ...SIGNED, ...headers },
      ...(body !== undefined && { body }),
    });
  }

  it('gives back what was put, and each version of it', async () => {
    const first = await request('PUT', '/records/2026-11-22/a%20b%2Bc.md', 'one', {
      'content-type': 'text/markdown',
    });
    expect(first.status).toBe(200);
    // MD5 of the content, as S3 answers for what is put in one piece.
    expect(first.headers.get('etag')).toBe('"f97c5d29941bfb1b2fdab0874906ab82"');
    expect(first.headers.get('x-amz-server-side-encryption')).toBe('AES256');
    const version = first.headers.get('x-amz-version-id') ?? '';
    await request('PUT', '/records/2026-11-22/a%20b%2Bc.md', 'two');

    const newest = await request('GET', '/records/2026-11-22/a%20b%2Bc.md');
    expect(await newest.text()).toBe('two');
    const older = await request('GET', `/records/2026-11-22/a%20b%2Bc.md?versionId=${version}`);
    expect({ text: await older.text(), type: older.headers.get('content-type') }).toEqual({
      text: 'one',
      type: 'text/markdown',
    });
    const versions = await (await request('GET', '/records?versions&prefix=2026')).text();
    expect([...versions.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key)).toEqual([
      '2026-11-22/a b+c.md',
      '2026-11-22/a b+c.md',
    ]);
    expect([...versions.matchAll(/<IsLatest>(\w+)</g)].map(([, is]) => is)).toEqual(['true', 'false']);
  });

  it('keeps one version where there is no versioning', async () => {
    await request('PUT', '/plain/key', 'one');
    const second = await request('PUT', '/plain/key', 'two');
    expect(second.headers.get('x-amz-version-id')).toBeNull();
    expect(await (await request('GET', '/plain?versions')).text()).toContain('<VersionId>null</VersionId>');
  });

  it('answers HEAD with the length and without the content', async () => {
    await request('PUT', '/plain/long', 'x'.repeat(1234));
    const head = await request('HEAD', '/plain/long');
    expect({
      status: head.status,
      length: head.headers.get('content-length'),
      body: await head.text(),
    }).toEqual({ status: 200, length: '1234', body: '' });
    expect((await request('HEAD', '/plain/none')).status).toBe(404);
  });

  it('lists by prefix, page by page', async () => {
    for (const key of ['p/3', 'p/1', 'p/2', 'q/1']) await request('PUT', `/plain/${key}`, key);
    const keys: (string | undefined)[] = [];
    let token = '';
    do {
      const more = token === '' ? '' : `&continuation-token=${encodeURIComponent(token)}`;
      const page = await (await request('GET', `/plain?list-type=2&prefix=p%2F&max-keys=2${more}`)).text();
      keys.push(...[...page.matchAll(/<Key>([^<]*)</g)].map(([, key]) => key));
      token = /<NextContinuationToken>([^<]*)</.exec(page)?.[1] ?? '';
    } while (token !== '');
    expect(keys).toEqual(['p/1', 'p/2', 'p/3']);
  });

  it.each([
    ['GET', '/records/none', undefined, {}, 404, 'NoSuchKey'],
    ['GET', '/none/key', undefined, {}, 404, 'NoSuchBucket'],
    ['GET', '/plain/key?versionId=4711', undefined, {}, 404, 'NoSuchVersion'],
    ['DELETE', '/plain/key', undefined, {}, 400, 'NotImplementedInSandbox'],
    ['PUT', '/plain/key?acl', 'x', {}, 400, 'SerializationException|ValidationException'],
    ['PUT', '/plain/key', 'x', { 'if-none-match': '*' }, 400, 'NotImplementedInSandbox'],
    ['PUT', '/plain/key', 'x', { 'content-encoding': 'aws-chunked' }, 400, 'NotImplementedInSandbox'],
    ['GET', '/plain/key', undefined, { range: 'bytes=1-2' }, 400, 'NotImplementedInSandbox'],
    ['PUT', `/plain/${'k'.repeat(1025)}`, 'x', {}, 400, 'KeyTooLongError'],
  ])('answers %s %.40s with an error that says so', async (method, path, body, headers, status, code) => {
    const answer = await request(method, path, body, headers);
    const text = await answer.text();
    expect({ status: answer.status, code: /<Code>(\w+)</.exec(text)?.[1] }).toEqual({
      status,
      code: expect.stringMatching(new RegExp(`^(${code})$`)) as unknown,
    });
    z.string()
      .min(10)
      .parse(/<Message>([^<]+)</.exec(text)?.[1]);
  });
});
