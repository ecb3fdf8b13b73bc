import { createHash, randomUUID } from 'node:crypto';
import type {
  CreateSecretRequest,
  CreateSecretResponse,
  DeleteResourcePolicyRequest,
  DeleteResourcePolicyResponse,
  DeleteSecretRequest,
  DeleteSecretResponse,
  DescribeSecretRequest,
  DescribeSecretResponse,
  Filter,
  GetRandomPasswordRequest,
  GetRandomPasswordResponse,
  GetResourcePolicyRequest,
  GetResourcePolicyResponse,
  GetSecretValueRequest,
  GetSecretValueResponse,
  ListSecretsRequest,
  ListSecretsResponse,
  ListSecretVersionIdsRequest,
  ListSecretVersionIdsResponse,
  PutResourcePolicyRequest,
  PutResourcePolicyResponse,
  PutSecretValueRequest,
  PutSecretValueResponse,
  RestoreSecretRequest,
  RestoreSecretResponse,
  SecretListEntry,
  TagResourceRequest,
  UntagResourceRequest,
  UpdateSecretRequest,
  UpdateSecretResponse,
  UpdateSecretVersionStageRequest,
  UpdateSecretVersionStageResponse,
} from '@aws-sdk/client-secrets-manager';
import { arn } from '../core/account';
import { ApiError, NotInSandbox, type Operation, type Service } from '../core/api';
import type { SandboxContext } from '../core/context';
import { isJson } from '../core/json';
import { randomPassword } from './password';
import {
  CURRENT,
  findVersion,
  labelsOf,
  moveLabel,
  putVersion,
  type Secret,
  type SecretValue,
} from './secret';

const DAY = 24 * 60 * 60 * 1000;
const MAX_VALUE_BYTES = 65_536;

/** Secrets Manager: secrets, their versions and the staging labels on these. Rotation and replication are not in it. */
export class SecretsManagerService implements Service {
  readonly name = 'secretsmanager';
  readonly operations: Readonly<Record<string, Operation>>;
  private readonly secrets = new Map<string, Secret>();

  constructor(private readonly context: SandboxContext) {
    context.keep<ReadonlyMap<string, Secret>>('secretsmanager', {
      save: () => this.secrets,
      load: (secrets) => {
        for (const [name, secret] of secrets) this.secrets.set(name, secret);
      },
    });
    this.operations = {
      CreateSecret: async (input: CreateSecretRequest) => this.create(input),
      GetSecretValue: async (input: GetSecretValueRequest) => this.getValue(input),
      PutSecretValue: async (input: PutSecretValueRequest) => this.putValue(input),
      DescribeSecret: async (input: DescribeSecretRequest) => this.describe(input),
      UpdateSecret: async (input: UpdateSecretRequest) => this.update(input),
      UpdateSecretVersionStage: async (input: UpdateSecretVersionStageRequest) => this.moveLabel(input),
      ListSecrets: async (input: ListSecretsRequest) => this.list(input),
      ListSecretVersionIds: async (input: ListSecretVersionIdsRequest) => this.listVersions(input),
      DeleteSecret: async (input: DeleteSecretRequest) => this.delete(input),
      RestoreSecret: async (input: RestoreSecretRequest) => this.restore(input),
      TagResource: async (input: TagResourceRequest) => this.tag(input),
      UntagResource: async (input: UntagResourceRequest) => this.untag(input),
      GetRandomPassword: async (input: GetRandomPasswordRequest): Promise<GetRandomPasswordResponse> => ({
        RandomPassword: randomPassword(input),
      }),
      GetResourcePolicy: async (input: GetResourcePolicyRequest) => this.getPolicy(input),
      PutResourcePolicy: async (input: PutResourcePolicyRequest) => this.putPolicy(input),
      DeleteResourcePolicy: async (input: DeleteResourcePolicyRequest) => this.deletePolicy(input),
    };
  }

  private create(input: CreateSecretRequest): CreateSecretResponse {
    const name = input.Name ?? '';
    if (!/^[A-Za-z0-9/_+=.@!-]{1,512}$/.test(name))
      throw new ApiError(
        'ValidationException',
        'Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!',
      );
    if (input.AddReplicaRegions?.length)
      throw new NotInSandbox('secretsmanager:CreateSecret with AddReplicaRegions');
    if (input.Type !== undefined) throw new NotInSandbox('secretsmanager:CreateSecret with Type');
    const value = optionalValue(input);
    const token = versionToken(input.ClientRequestToken);
    this.expire();
    const existing = this.secrets.get(name);
    if (existing) {
      if (existing.deletion)
        throw new ApiError(
          'InvalidRequestException',
          "You can't create this secret because a secret with this name is already scheduled for deletion.",
        );
      // The same call once more, for a client that did not hear the first answer.
      if (value && existing.versions[token]) {
        putVersion(existing, token, value, [CURRENT], this.now());
        return { ARN: existing.arn, Name: existing.name, VersionId: token };
      }
      throw new ApiError(
        'ResourceExistsException',
        `The operation failed because the secret ${name} already exists.`,
      );
    }
    const now = this.now();
    const secret: Secret = {
      arn: arn(this.context.account, 'secretsmanager', `secret:${name}-${suffix(name)}`),
      name,
      ...(input.Description === undefined ? {} : { description: input.Description }),
      ...(input.KmsKeyId === undefined ? {} : { kmsKeyId: input.KmsKeyId }),
      tags: [],
      createdAt: now,
      changedAt: now,
      versions: {},
      labels: {},
    };
    addTags(secret, input.Tags ?? []);
    if (value) putVersion(secret, token, value, [CURRENT], now);
    this.secrets.set(name, secret);
    return { ARN: secret.arn, Name: name, ...(value ? { VersionId: token } : {}) };
  }

  private getValue(input: GetSecretValueRequest): GetSecretValueResponse {
    const secret = this.findLive(input.SecretId);
    const version = findVersion(secret, input.VersionId, input.VersionStage);
    // AWS says only on which day a secret was last read.
    const today = Math.floor(this.now() / DAY) * DAY;
    secret.accessedAt = today;
    version.accessedAt = today;
    return {
      ...identity(secret),
      VersionId: version.id,
      ...('string' in version.value
        ? { SecretString: version.value.string }
        : { SecretBinary: new Uint8Array(Buffer.from(version.value.binary, 'base64')) }),
      VersionStages: labelsOf(secret, version.id),
      CreatedDate: new Date(version.createdAt),
    };
  }

  private putValue(input: PutSecretValueRequest): PutSecretValueResponse {
    if (input.RotationToken !== undefined)
      throw new NotInSandbox('secretsmanager:PutSecretValue with RotationToken');
    const labels = input.VersionStages ?? [CURRENT];
    if (labels.length === 0 || labels.some((label) => label.length < 1 || label.length > 256))
      throw new ApiError(
        'InvalidParameterException',
        'VersionStages must hold 1 to 20 labels of 1 to 256 characters.',
      );
    const secret = this.findLive(input.SecretId);
    const value = optionalValue(input);
    if (!value)
      throw new ApiError('InvalidRequestException', 'You must provide either SecretString or SecretBinary.');
    const id = versionToken(input.ClientRequestToken);
    putVersion(secret, id, value, labels, this.now());
    return { ...identity(secret), VersionId: id, VersionStages: labelsOf(secret, id) };
  }

  private describe(input: DescribeSecretRequest): DescribeSecretResponse {
    const secret = this.find(input.SecretId);
    return {
      ...entry(secret),
      VersionIdsToStages: Object.fromEntries(versionsToLabels(secret)),
    };
  }

  private update(input: UpdateSecretRequest): UpdateSecretResponse {
    if (input.Type !== undefined) throw new NotInSandbox('secretsmanager:UpdateSecret with Type');
    const secret = this.findLive(input.SecretId);
    const value = optionalValue(input);
    const id = versionToken(input.ClientRequestToken);
    if (value) putVersion(secret, id, value, [CURRENT], this.now());
    if (input.Description !== undefined) secret.description = input.Description;
    if (input.KmsKeyId !== undefined) secret.kmsKeyId = input.KmsKeyId;
    secret.changedAt = this.now();
    return { ...identity(secret), ...(value ? { VersionId: id } : {}) };
  }

  private moveLabel(input: UpdateSecretVersionStageRequest): UpdateSecretVersionStageResponse {
    const secret = this.findLive(input.SecretId);
    moveLabel(
      secret,
      {
        label: input.VersionStage ?? '',
        moveTo: input.MoveToVersionId,
        removeFrom: input.RemoveFromVersionId,
      },
      this.now(),
    );
    return identity(secret);
  }

  private list(input: ListSecretsRequest): ListSecretsResponse {
    if (input.SortBy !== undefined && input.SortBy !== 'created-date')
      throw new NotInSandbox(`secretsmanager:ListSecrets with SortBy ${input.SortBy}`);
    this.expire();
    const direction = input.SortOrder === 'asc' ? 1 : -1;
    const secrets = [...this.secrets.values()]
      .filter((secret) => input.IncludePlannedDeletion === true || !secret.deletion)
      .filter((secret) => (input.Filters ?? []).every((filter) => matches(secret, filter)))
      .sort((a, b) => direction * (a.createdAt - b.createdAt));
    const page = pageOf(secrets, input);
    return {
      SecretList: page.items.map((secret): SecretListEntry => ({
        ...entry(secret),
        SecretVersionsToStages: Object.fromEntries(versionsToLabels(secret)),
      })),
      ...page.next,
    };
  }

  private listVersions(input: ListSecretVersionIdsRequest): ListSecretVersionIdsResponse {
    const secret = this.find(input.SecretId);
    const versions = Object.values(secret.versions)
      .filter(({ id }) => input.IncludeDeprecated === true || labelsOf(secret, id).length > 0)
      .sort((a, b) => b.createdAt - a.createdAt);
    const page = pageOf(versions, input);
    return {
      ...identity(secret),
      Versions: page.items.map((version) => {
        const labels = labelsOf(secret, version.id);
        return {
          VersionId: version.id,
          ...(labels.length > 0 ? { VersionStages: labels } : {}),
          CreatedDate: new Date(version.createdAt),
          ...(version.accessedAt === undefined ? {} : { LastAccessedDate: new Date(version.accessedAt) }),
        };
      }),
      ...page.next,
    };
  }

  private delete(input: DeleteSecretRequest): DeleteSecretResponse {
    const { RecoveryWindowInDays: days, ForceDeleteWithoutRecovery: force } = input;
    if (force && days !== undefined)
      throw new ApiError(
        'InvalidParameterException',
        "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
      );
    if (days !== undefined && (days < 7 || days > 30))
      throw new ApiError(
        'InvalidParameterException',
        'The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).',
      );
    const now = this.now();
    const secret = this.lookUp(input.SecretId);
    if (!secret) {
      if (!force) throw secretNotFound();
      // A deletion by force is always content.
      const id = input.SecretId ?? '';
      return { Name: id, DeletionDate: new Date(now) };
    }
    if (force) {
      this.secrets.delete(secret.name);
      return { ...identity(secret), DeletionDate: new Date(now) };
    }
    if (secret.deletion)
      throw new ApiError(
        'InvalidRequestException',
        "You can't perform this operation on the secret because it was already scheduled for deletion.",
      );
    secret.deletion = { requestedAt: now, dueAt: now + (days ?? 30) * DAY };
    return { ...identity(secret), DeletionDate: new Date(secret.deletion.dueAt) };
  }

  private restore(input: RestoreSecretRequest): RestoreSecretResponse {
    const secret = this.find(input.SecretId);
    delete secret.deletion;
    return identity(secret);
  }

  private tag(input: TagResourceRequest): object {
    addTags(this.findLive(input.SecretId), input.Tags ?? []);
    return {};
  }

  private untag(input: UntagResourceRequest): object {
    const secret = this.findLive(input.SecretId);
    secret.tags = secret.tags.filter(({ Key }) => !(input.TagKeys ?? []).includes(Key));
    return {};
  }

  private getPolicy(input: GetResourcePolicyRequest): GetResourcePolicyResponse {
    const secret = this.findLive(input.SecretId);
    return {
      ...identity(secret),
      ...(secret.policy === undefined ? {} : { ResourcePolicy: secret.policy }),
    };
  }

  private putPolicy(input: PutResourcePolicyRequest): PutResourcePolicyResponse {
    const secret = this.findLive(input.SecretId);
    const policy = input.ResourcePolicy ?? '';
    if (!isJson(policy))
      throw new ApiError('MalformedPolicyDocumentException', 'This resource policy contains a syntax error.');
    secret.policy = policy;
    return identity(secret);
  }

  private deletePolicy(input: DeleteResourcePolicyRequest): DeleteResourcePolicyResponse {
    const secret = this.findLive(input.SecretId);
    delete secret.policy;
    return identity(secret);
  }

  private now(): number {
    return this.context.clock.now().getTime();
  }

  /** Deletes what has waited out its recovery window. */
  private expire(): void {
    for (const [name, { deletion }] of this.secrets)
      if (deletion && deletion.dueAt <= this.now()) this.secrets.delete(name);
  }

  /** By name, ARN, or ARN without its random suffix. */
  private lookUp(id = ''): Secret | undefined {
    this.expire();
    return (
      this.secrets.get(id) ??
      [...this.secrets.values()].find((secret) => secret.arn === id || secret.arn.slice(0, -7) === id)
    );
  }

  private find(id: string | undefined): Secret {
    const secret = this.lookUp(id);
    if (!secret) throw secretNotFound();
    return secret;
  }

  private findLive(id: string | undefined): Secret {
    const secret = this.find(id);
    if (secret.deletion)
      throw new ApiError(
        'InvalidRequestException',
        "You can't perform this operation on the secret because it was marked for deletion.",
      );
    return secret;
  }
}

function secretNotFound(): ApiError {
  return new ApiError('ResourceNotFoundException', "Secrets Manager can't find the specified secret.");
}

/** AWS's suffix is random; the same name always gets the same one here, so that a deployment can be repeated. */
function suffix(name: string): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  return [...createHash('sha256').update(name).digest().subarray(0, 6)]
    .map((byte) => letters.charAt(byte % letters.length))
    .join('');
}

function versionToken(token: string | undefined): string {
  if (token === undefined) return randomUUID();
  if (token.length < 32 || token.length > 64)
    throw new ApiError('InvalidParameterException', 'ClientRequestToken must be 32-64 characters long.');
  return token;
}

function optionalValue(input: {
  SecretString?: string | undefined;
  SecretBinary?: Uint8Array | undefined;
}): SecretValue | undefined {
  const { SecretString: string, SecretBinary: binary } = input;
  if (string !== undefined && binary !== undefined)
    throw new ApiError(
      'InvalidParameterException',
      "You can't specify both a binary secret value and a string secret value in the same secret.",
    );
  const bytes = binary?.byteLength ?? Buffer.byteLength(string ?? '');
  if (bytes > MAX_VALUE_BYTES)
    throw new ApiError(
      'ValidationException',
      `1 validation error detected: the secret value has ${bytes} bytes: Member must have length less than or equal to ` +
        `${MAX_VALUE_BYTES}`,
    );
  if (binary !== undefined) return { binary: Buffer.from(binary).toString('base64') };
  return string === undefined ? undefined : { string };
}

function addTags(
  secret: Secret,
  tags: readonly { Key?: string | undefined; Value?: string | undefined }[],
): void {
  const keys = new Set(tags.map(({ Key }) => Key));
  const merged = [
    ...secret.tags.filter(({ Key }) => !keys.has(Key)),
    ...tags.map(({ Key = '', Value = '' }) => ({ Key, Value })),
  ];
  if (merged.length > 50)
    throw new ApiError('InvalidParameterException', 'A secret can have at most 50 tags.');
  secret.tags = merged;
}

function identity(secret: Secret): { ARN: string; Name: string } {
  return { ARN: secret.arn, Name: secret.name };
}

/** What DescribeSecret and ListSecrets both say. */
function entry(secret: Secret): DescribeSecretResponse & SecretListEntry {
  return {
    ...identity(secret),
    ...(secret.description === undefined ? {} : { Description: secret.description }),
    ...(secret.kmsKeyId === undefined ? {} : { KmsKeyId: secret.kmsKeyId }),
    Tags: secret.tags,
    CreatedDate: new Date(secret.createdAt),
    LastChangedDate: new Date(secret.changedAt),
    ...(secret.accessedAt === undefined ? {} : { LastAccessedDate: new Date(secret.accessedAt) }),
    ...(secret.deletion ? { DeletedDate: new Date(secret.deletion.requestedAt) } : {}),
  };
}

function versionsToLabels(secret: Secret): [string, string[]][] {
  return Object.keys(secret.versions)
    .map((id): [string, string[]] => [id, labelsOf(secret, id)])
    .filter(([, labels]) => labels.length > 0);
}

/** AWS's filters look for values that begin with one of the given ones; `!` in front negates. */
function matches(secret: Secret, { Key: key, Values: values = [] }: Filter): boolean {
  const texts = filterTexts(secret, key);
  return values.some((value) =>
    value.startsWith('!')
      ? !texts.some((text) => text.startsWith(value.slice(1)))
      : texts.some((text) => text.startsWith(value)),
  );
}

function filterTexts(secret: Secret, key: string | undefined): string[] {
  switch (key) {
    case 'name':
      return [secret.name];
    case 'description':
      return [secret.description ?? ''];
    case 'tag-key':
      return secret.tags.map(({ Key }) => Key);
    case 'tag-value':
      return secret.tags.map(({ Value }) => Value);
    default:
      throw new NotInSandbox(`secretsmanager:ListSecrets with the filter "${key ?? ''}"`);
  }
}

function pageOf<T>(
  items: readonly T[],
  {
    MaxResults: max = 100,
    NextToken: token,
  }: { MaxResults?: number | undefined; NextToken?: string | undefined },
): { items: readonly T[]; next: { NextToken?: string } } {
  const start = token === undefined ? 0 : Number(token);
  if (!Number.isInteger(start) || start < 0)
    throw new ApiError('InvalidNextTokenException', 'The NextToken value is invalid.');
  const end = start + max;
  return { items: items.slice(start, end), next: end < items.length ? { NextToken: String(end) } : {} };
}
