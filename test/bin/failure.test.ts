import { RDSClient } from '@aws-sdk/client-rds';
import { failure } from '../../bin/failure';

const before = process.env;
afterAll(() => {
  process.env = before;
});

test('without a Region or credentials a command says what to set', async () => {
  process.env = {
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED: 'true',
  };
  const { region } = new RDSClient({}).config;
  const { credentials } = new RDSClient({ region: 'eu-central-1' }).config;
  for (const ask of [region, credentials])
    expect(await ask().then(() => 'there is one', failure)).toContain('Hint: set AWS_PROFILE and AWS_REGION');
});

test('anything else is said as it is', () => {
  expect(failure(new Error('No instance is live.'))).toBe('No instance is live.');
});
