import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import { resolve } from 'node:path';

/** What `npm run restore-points` answers whoever mistypes, or asks where there is nothing. */
// GIVEN a Lambda that knows one function, which fails
let server: Server;
let endpoint: string;
const asked: string[] = [];
beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? '';
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      asked.push(`${path} ${body}`);
      if (!path.includes('staging-restore-points')) {
        response.writeHead(404, { 'x-amzn-errortype': 'ResourceNotFoundException' });
        response.end(JSON.stringify({ Type: 'User', Message: `Function not found: ${path}` }));
        return;
      }
      response.writeHead(200, { 'x-amz-function-error': 'Unhandled' });
      response.end(
        JSON.stringify({ errorType: 'LiveInstanceUnclear', errorMessage: 'It is unclear. Hint: Look.' }),
      );
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const address = server.address();
  endpoint = `http://127.0.0.1:${typeof address === 'object' ? (address?.port ?? 0) : 0}`;
});
afterAll(() => new Promise((closed) => server.close(closed)));

function restorePoints(...options: string[]): Promise<{ code: number; said: string }> {
  return new Promise((ended) => {
    execFile(
      process.execPath,
      ['--import', 'tsx', resolve('bin/restore-points.ts'), ...options],
      {
        env: {
          PATH: process.env.PATH,
          AWS_ENDPOINT_URL: endpoint,
          AWS_REGION: 'eu-central-1',
          AWS_ACCESS_KEY_ID: 'a',
          AWS_SECRET_ACCESS_KEY: 'b',
        },
      },
      (error, stdout, stderr) => {
        ended({ code: typeof error?.code === 'number' ? error.code : 0, said: stdout + stderr });
      },
    );
  });
}

test.each([
  [['--env', 'prod'], /^Function not found: .*\nHint: --env is production or staging, .*deployed/],
  [['--env', 'staging', '--limit', '5000'], /^It is unclear\. Hint: Look\.\n$/],
  [['--env', 'staging', '--limit', '5001'], /'5001' is invalid\. Allowed is a whole number from 1 to 5000\./],
  [['--env', 'staging', '--limit', '1e3'], /Allowed is a whole number from 1 to 5000\./],
  [[], /required option '--env <name>' not specified/],
  [['--env', 'staging', '--kind', 'mine'], /Allowed choices are pre-migration, scheduled, .*by-hand/],
])('%j', async (options, expected) => {
  asked.length = 0;
  const { code, said } = await restorePoints(...options);
  expect({ code, said }).toEqual({ code: 1, said: expect.stringMatching(expected) as string });
  // What is refused here is not asked.
  const [only, ...others] = asked.map((each) => each.replace(/^.*functions\//, ''));
  const isAsked = !/invalid|required|choices/.test(said);
  expect({ only, others }).toEqual({
    only: isAsked ? (expect.any(String) as string) : undefined,
    others: [],
  });
});
