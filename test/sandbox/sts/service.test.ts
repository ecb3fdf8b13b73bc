import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { StsService } from '../../../sandbox/sts/service';
import { serve, type Served } from '../wire/served';

describe('STS', () => {
  let served: Served<{ sts: StsService }>;

  beforeAll(async () => {
    served = await serve((context) => ({ sts: new StsService(context) }));
  });
  afterAll(() => served.close());

  it('takes unknown keys as the administrator', async () => {
    const identity = await new STSClient(served.client).send(new GetCallerIdentityCommand({}));
    expect(identity).toMatchObject({
      Account: '123456789012',
      Arn: 'arn:aws:iam::123456789012:user/administrator',
    });
  });

  it('hands out keys that stand for the assumed role', async () => {
    const { Credentials } = await new STSClient(served.client).send(
      new AssumeRoleCommand({
        RoleArn: 'arn:aws:iam::123456789012:role/ci/deploy',
        RoleSessionName: 'build-7',
      }),
    );
    expect(Credentials?.Expiration?.getTime()).toBeGreaterThan(Date.now() + 3_500_000);
    const identity = await new STSClient({
      ...served.client,
      credentials: {
        accessKeyId: Credentials?.AccessKeyId ?? '',
        secretAccessKey: Credentials?.SecretAccessKey ?? '',
        sessionToken: Credentials?.SessionToken ?? '',
      },
    }).send(new GetCallerIdentityCommand({}));
    expect(identity.Arn).toMatch(/^arn:aws:sts::123456789012:assumed-role\/deploy\//);
  });

  it('refuses what it would leave out', async () => {
    await expect(
      new STSClient(served.client).send(
        new AssumeRoleCommand({
          RoleArn: 'arn:aws:iam::123456789012:role/x',
          RoleSessionName: 'me',
          Policy: '{}',
        }),
      ),
    ).rejects.toThrow(/does not implement STS AssumeRole member Policy/);
  });
});
