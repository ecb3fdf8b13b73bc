import { RDSClient } from '@aws-sdk/client-rds';
import { defaultProvider } from '../../lambdas/function-credentials';

const before = { ...process.env };
afterEach(() => {
  process.env = { ...before };
});

test('they are those that the SDK finds in the environment of a function', async () => {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: 'ASIAEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'key-of-the-role',
    AWS_SESSION_TOKEN: 'token-of-the-role',
  });
  const ours = await defaultProvider()();
  expect(ours).toEqual({
    accessKeyId: 'ASIAEXAMPLE',
    secretAccessKey: 'key-of-the-role',
    sessionToken: 'token-of-the-role',
  });
  expect(await new RDSClient({ region: 'eu-central-1' }).config.credentials()).toMatchObject(ours);
});

test('where there are none the error says what is missing, and nothing else is asked', async () => {
  delete process.env['AWS_ACCESS_KEY_ID'];
  await expect(defaultProvider()()).rejects.toThrow('AWS_ACCESS_KEY_ID');
});
