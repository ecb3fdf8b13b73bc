import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  GetRandomPasswordCommand,
  GetResourcePolicyCommand,
  GetSecretValueCommand,
  ListSecretsCommand,
  ListSecretVersionIdsCommand,
  PutResourcePolicyCommand,
  PutSecretValueCommand,
  RestoreSecretCommand,
  RotateSecretCommand,
  SecretsManagerClient,
  TagResourceCommand,
  UntagResourceCommand,
  UpdateSecretCommand,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import { VirtualClock } from '../../../sandbox/core/clock';
import { SecretsManagerService } from '../../../sandbox/secrets-manager/service';
import { containing } from '../wire/matching';
import { serve, type Served } from '../wire/served';
import fc from '../../fast-check';

const DAY = 24 * 60 * 60 * 1000;
const token = (name: string): string => name.padEnd(32, '-');

describe('Secrets Manager', () => {
  let served: Served<{ secrets: SecretsManagerService }>;
  let client: SecretsManagerClient;
  let clock: VirtualClock;
  let count = 0;

  beforeAll(async () => {
    clock = new VirtualClock();
    served = await serve((context) => ({ secrets: new SecretsManagerService(context) }), clock);
    client = new SecretsManagerClient(served.client);
  });
  afterAll(async () => {
    client.destroy();
    await served.close();
  });

  /** A new secret with the version `first` as its current one. */
  async function newSecret(value = 'one'): Promise<string> {
    const Name = `production/database-url-${count++}`;
    await client.send(
      new CreateSecretCommand({ Name, SecretString: value, ClientRequestToken: token('first') }),
    );
    return Name;
  }

  const put = (SecretId: string, id: string, value: string, VersionStages?: string[]) =>
    client.send(
      new PutSecretValueCommand({
        SecretId,
        SecretString: value,
        ClientRequestToken: token(id),
        VersionStages,
      }),
    );

  const move = (SecretId: string, VersionStage: string, to?: string, from?: string) =>
    client.send(
      new UpdateSecretVersionStageCommand({
        SecretId,
        VersionStage,
        ...(to === undefined ? {} : { MoveToVersionId: token(to) }),
        ...(from === undefined ? {} : { RemoveFromVersionId: token(from) }),
      }),
    );

  /** Version → its labels. */
  async function labels(SecretId: string): Promise<Record<string, string[]>> {
    const { VersionIdsToStages = {} } = await client.send(new DescribeSecretCommand({ SecretId }));
    return Object.fromEntries(
      Object.entries(VersionIdsToStages).map(([id, stages]) => [id.replace(/-+$/, ''), [...stages].sort()]),
    );
  }

  it('keeps text and binary values, found by name, ARN and ARN without suffix', async () => {
    const name = await newSecret('postgres://app:p%40ss@old/db');
    const { ARN: arn = '' } = await client.send(new DescribeSecretCommand({ SecretId: name }));
    expect(arn).toMatch(
      new RegExp(`^arn:aws:secretsmanager:eu-central-1:123456789012:secret:${name}-[A-Za-z0-9]{6}$`),
    );
    for (const SecretId of [name, arn, arn.slice(0, -7)])
      expect(await client.send(new GetSecretValueCommand({ SecretId }))).toMatchObject({
        ARN: arn,
        Name: name,
        SecretString: 'postgres://app:p%40ss@old/db',
        VersionId: token('first'),
        VersionStages: ['AWSCURRENT'],
      });
    const bytes = new Uint8Array([0, 255, 7]);
    await client.send(new PutSecretValueCommand({ SecretId: name, SecretBinary: bytes }));
    const read = await client.send(new GetSecretValueCommand({ SecretId: name }));
    expect(read.SecretBinary).toEqual(bytes);
    expect(read.SecretString).toBeUndefined();
  });

  it('moves AWSPREVIOUS to where AWSCURRENT was', async () => {
    const name = await newSecret();
    await put(name, 'second', 'two');
    expect(await labels(name)).toEqual({ first: ['AWSPREVIOUS'], second: ['AWSCURRENT'] });
    await put(name, 'third', 'three');
    expect(await labels(name)).toEqual({ second: ['AWSPREVIOUS'], third: ['AWSCURRENT'] });
    const before = await client.send(
      new GetSecretValueCommand({ SecretId: name, VersionStage: 'AWSPREVIOUS' }),
    );
    expect(before.SecretString).toBe('two');
  });

  it('stages a value beside the current one, and swaps by compare-and-swap', async () => {
    const name = await newSecret();
    await put(name, 'staged', 'two', ['RECOVERY']);
    expect(await labels(name)).toEqual({ first: ['AWSCURRENT'], staged: ['RECOVERY'] });
    await move(name, 'AWSCURRENT', 'staged', 'first');
    expect(await labels(name)).toEqual({ first: ['AWSPREVIOUS'], staged: ['AWSCURRENT', 'RECOVERY'] });
    // Somebody who still believes in the first version is refused, and nothing moves.
    await put(name, 'other', 'three', ['MINE']);
    await expect(move(name, 'AWSCURRENT', 'other', 'first')).rejects.toMatchObject({
      name: 'InvalidParameterException',
      message: containing('it must be set to the version that currently has the staging label'),
    });
    await expect(move(name, 'AWSCURRENT', 'other')).rejects.toMatchObject({
      name: 'InvalidParameterException',
      message:
        `The parameter RemoveFromVersionId can't be empty. Staging label AWSCURRENT is currently attached to version ` +
        `${token('staged')}, so you must explicitly reference that version in RemoveFromVersionId.`,
    });
    expect(await labels(name)).toMatchObject({ staged: ['AWSCURRENT', 'RECOVERY'] });
    // And back again: the labels change places.
    await move(name, 'AWSCURRENT', 'first', 'staged');
    expect(await labels(name)).toEqual({
      first: ['AWSCURRENT'],
      staged: ['AWSPREVIOUS', 'RECOVERY'],
      other: ['MINE'],
    });
    await move(name, 'MINE', undefined, 'other');
    expect(await labels(name)).not.toHaveProperty('other');
  });

  it('refuses label moves that make no sense', async () => {
    const name = await newSecret();
    await expect(move(name, 'AWSCURRENT', undefined, 'first')).rejects.toMatchObject({
      name: 'InvalidParameterException',
      message: containing('You can only move staging label AWSCURRENT'),
    });
    await expect(move(name, 'X', 'nowhere')).rejects.toThrow(`Not a valid version: ${token('nowhere')}`);
    await expect(move(name, 'X', undefined, 'first')).rejects.toThrow(
      `Version stage X not found in version ${token('first')}`,
    );
    await expect(move(name, 'X')).rejects.toMatchObject({ name: 'InvalidParameterException' });
  });

  it('takes the same token and value as one call, another value as an error', async () => {
    const name = await newSecret();
    await put(name, 'second', 'two', ['RECOVERY']);
    await put(name, 'second', 'two', ['RECOVERY']);
    await expect(put(name, 'second', 'hunter2')).rejects.toMatchObject({
      name: 'ResourceExistsException',
      message: containing(token('second')),
    });
    expect(await labels(name)).toEqual({ first: ['AWSCURRENT'], second: ['RECOVERY'] });
    await expect(
      client.send(
        new PutSecretValueCommand({ SecretId: name, SecretString: 'x', ClientRequestToken: 'short' }),
      ),
    ).rejects.toMatchObject({ name: 'InvalidParameterException', message: containing('32-64') });
    const again = new CreateSecretCommand({
      Name: name,
      SecretString: 'one',
      ClientRequestToken: token('first'),
    });
    expect(await client.send(again)).toMatchObject({ Name: name, VersionId: token('first') });
    await expect(
      client.send(new CreateSecretCommand({ Name: name, SecretString: 'x' })),
    ).rejects.toMatchObject({
      name: 'ResourceExistsException',
      message: `The operation failed because the secret ${name} already exists.`,
    });
    expect(served.log.join('\n')).not.toMatch(/hunter2/);
  });

  it('says what of a value is missing', async () => {
    const name = await newSecret();
    const get = (input: { VersionId?: string; VersionStage?: string }) =>
      client.send(new GetSecretValueCommand({ SecretId: name, ...input }));
    await expect(get({ VersionStage: 'RECOVERY' })).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: "Secrets Manager can't find the specified secret value for staging label: RECOVERY",
    });
    await expect(get({ VersionId: token('gone') })).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: `Secrets Manager can't find the specified secret value for VersionId: ${token('gone')}`,
    });
    await expect(get({ VersionId: token('first'), VersionStage: 'OTHER' })).rejects.toMatchObject({
      name: 'InvalidRequestException',
    });
    await client.send(new CreateSecretCommand({ Name: 'empty' }));
    await expect(client.send(new GetSecretValueCommand({ SecretId: 'empty' }))).rejects.toMatchObject({
      message: "Secrets Manager can't find the specified secret value for staging label: AWSCURRENT",
    });
    await expect(client.send(new GetSecretValueCommand({ SecretId: 'nobody' }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
      message: "Secrets Manager can't find the specified secret.",
    });
    await expect(client.send(new PutSecretValueCommand({ SecretId: name }))).rejects.toMatchObject({
      name: 'InvalidRequestException',
    });
    await expect(
      client.send(
        new PutSecretValueCommand({ SecretId: name, SecretString: 'x', SecretBinary: new Uint8Array([1]) }),
      ),
    ).rejects.toMatchObject({ name: 'InvalidParameterException' });
  });

  it('updates, tags, lists and protects', async () => {
    const name = await newSecret();
    const updated = await client.send(
      new UpdateSecretCommand({ SecretId: name, SecretString: 'new', Description: 'where the app connects' }),
    );
    expect(updated.VersionId).toHaveLength(36);
    await client.send(
      new TagResourceCommand({
        SecretId: name,
        Tags: [
          { Key: 'a', Value: '1' },
          { Key: 'b', Value: '2' },
        ],
      }),
    );
    await client.send(new TagResourceCommand({ SecretId: name, Tags: [{ Key: 'a', Value: '3' }] }));
    await client.send(new UntagResourceCommand({ SecretId: name, TagKeys: ['b'] }));
    expect(await client.send(new DescribeSecretCommand({ SecretId: name }))).toMatchObject({
      Description: 'where the app connects',
      Tags: [{ Key: 'a', Value: '3' }],
    });
    const listed = await client.send(
      new ListSecretsCommand({ Filters: [{ Key: 'tag-value', Values: ['3'] }] }),
    );
    expect(listed.SecretList?.map(({ Name }) => Name)).toEqual([name]);
    const policy = JSON.stringify({ Version: '2012-10-17', Statement: [] });
    await client.send(new PutResourcePolicyCommand({ SecretId: name, ResourcePolicy: policy }));
    expect(await client.send(new GetResourcePolicyCommand({ SecretId: name }))).toMatchObject({
      ResourcePolicy: policy,
    });
    await expect(
      client.send(new PutResourcePolicyCommand({ SecretId: name, ResourcePolicy: '{' })),
    ).rejects.toMatchObject({ name: 'MalformedPolicyDocumentException' });
    await expect(client.send(new RotateSecretCommand({ SecretId: name }))).rejects.toMatchObject({
      name: 'NotImplementedInSandbox',
    });
  });

  it('pages through secrets', async () => {
    await newSecret();
    await newSecret();
    const names: (string | undefined)[] = [];
    let NextToken: string | undefined;
    do {
      const page = await client.send(new ListSecretsCommand({ MaxResults: 1, NextToken }));
      expect(page.SecretList).toHaveLength(1);
      names.push(page.SecretList?.[0]?.Name);
      ({ NextToken } = page);
    } while (NextToken !== undefined);
    const all = await client.send(new ListSecretsCommand({}));
    expect(names).toEqual(all.SecretList?.map(({ Name }) => Name));
  });

  it('deletes after a window in which it can be restored', async () => {
    const name = await newSecret();
    await client.send(new DeleteSecretCommand({ SecretId: name, RecoveryWindowInDays: 7 }));
    await expect(client.send(new GetSecretValueCommand({ SecretId: name }))).rejects.toMatchObject({
      name: 'InvalidRequestException',
      message: "You can't perform this operation on the secret because it was marked for deletion.",
    });
    await expect(client.send(new CreateSecretCommand({ Name: name }))).rejects.toMatchObject({
      name: 'InvalidRequestException',
    });
    await client.send(new RestoreSecretCommand({ SecretId: name }));
    expect((await client.send(new GetSecretValueCommand({ SecretId: name }))).SecretString).toBe('one');
    await client.send(new DeleteSecretCommand({ SecretId: name, RecoveryWindowInDays: 7 }));
    await clock.advance(7 * DAY);
    await expect(client.send(new DescribeSecretCommand({ SecretId: name }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
    const other = await newSecret();
    await client.send(new DeleteSecretCommand({ SecretId: other, ForceDeleteWithoutRecovery: true }));
    await expect(client.send(new DescribeSecretCommand({ SecretId: other }))).rejects.toMatchObject({
      name: 'ResourceNotFoundException',
    });
  });

  it('purges old versions without a label, never a labelled one', async () => {
    const name = await newSecret();
    await move(name, 'PINNED', 'first');
    for (let index = 0; index < 110; index++) await put(name, `version${index}`, String(index));
    await clock.advance(2 * DAY);
    await put(name, 'last', 'last');
    const { Versions = [] } = await client.send(
      new ListSecretVersionIdsCommand({ SecretId: name, IncludeDeprecated: true, MaxResults: 200 }),
    );
    // 100 without a label, and those with PINNED, AWSPREVIOUS and AWSCURRENT.
    expect(Versions).toHaveLength(103);
    expect(await labels(name)).toEqual({
      first: ['PINNED'],
      version109: ['AWSPREVIOUS'],
      last: ['AWSCURRENT'],
    });
  });

  it('allows at most 20 labels on a version', async () => {
    const name = await newSecret();
    for (let index = 0; index < 19; index++) await move(name, `LABEL${index}`, 'first');
    await expect(move(name, 'ONE-MORE', 'first')).rejects.toMatchObject({ name: 'LimitExceededException' });
  });

  it('makes passwords of the asked kind', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          PasswordLength: fc.integer({ min: 4, max: 64 }),
          ExcludePunctuation: fc.boolean(),
          ExcludeNumbers: fc.boolean(),
          ExcludeCharacters: fc.constantFrom('', 'abc', '"@/\\', 'ABC123'),
        }),
        async (request) => {
          const { RandomPassword: password = '' } = await client.send(new GetRandomPasswordCommand(request));
          expect(password).toHaveLength(request.PasswordLength);
          expect(password).toMatch(/[a-z]/);
          expect(/[0-9]/.test(password)).toBe(!request.ExcludeNumbers);
          expect(/[^A-Za-z0-9]/.test(password)).toBe(!request.ExcludePunctuation);
          for (const character of request.ExcludeCharacters) expect(password).not.toContain(character);
        },
      ),
    );
  });
});
