import { ApiError } from '../core/api';

/** A secret and its versions, as plain data. Times are milliseconds since 1970 of the sandbox's clock. */
export interface Secret {
  readonly arn: string;
  readonly name: string;
  description?: string;
  kmsKeyId?: string;
  policy?: string;
  tags: { Key: string; Value: string }[];
  readonly createdAt: number;
  changedAt: number;
  accessedAt?: number;
  /** Set while the secret waits for its deletion. */
  deletion?: { requestedAt: number; dueAt: number };
  versions: Record<string, SecretVersion>;
  /** Staging label → version. A label is on one version at most. */
  labels: Record<string, string>;
}

export interface SecretVersion {
  readonly id: string;
  readonly value: SecretValue;
  readonly createdAt: number;
  accessedAt?: number;
}

/** Binary values are kept as base64. */
export type SecretValue = { readonly string: string } | { readonly binary: string };

export const CURRENT = 'AWSCURRENT';
const PREVIOUS = 'AWSPREVIOUS';
const MAX_LABELS_PER_VERSION = 20;
const KEPT_WITHOUT_LABEL = 100;
const DAY = 24 * 60 * 60 * 1000;

/** The labels of a version, in the order in which they came. */
export function labelsOf(secret: Secret, versionId: string): string[] {
  return Object.entries(secret.labels)
    .filter(([, holder]) => holder === versionId)
    .map(([label]) => label);
}

/**
 * Adds a version that carries `labels`. The same id with the same value changes nothing.
 *
 * @throws {ApiError} ResourceExistsException when the id has another value already
 */
export function putVersion(
  secret: Secret,
  id: string,
  value: SecretValue,
  labels: readonly string[],
  now: number,
): void {
  const existing = secret.versions[id];
  if (existing) {
    if (sameValue(existing.value, value)) return;
    throw new ApiError(
      'ResourceExistsException',
      `You can't use ClientRequestToken ${id} because that value is already in use for a version of secret ${secret.arn}.`,
    );
  }
  const first = Object.keys(secret.versions).length === 0;
  const wanted = new Set(first ? [CURRENT, ...labels] : labels);
  if (wanted.size > MAX_LABELS_PER_VERSION) throw tooManyLabels();
  secret.versions[id] = { id, value, createdAt: now };
  for (const label of wanted) attach(secret, label, id);
  secret.changedAt = now;
  purge(secret, now);
}

function sameValue(a: SecretValue, b: SecretValue): boolean {
  return 'string' in a ? 'string' in b && a.string === b.string : 'binary' in b && a.binary === b.binary;
}

/** Moves a label to a version. AWSPREVIOUS follows to where AWSCURRENT comes from. */
function attach(secret: Secret, label: string, versionId: string): void {
  const holder = secret.labels[label];
  if (holder === versionId) return;
  if (labelsOf(secret, versionId).length >= MAX_LABELS_PER_VERSION) throw tooManyLabels();
  secret.labels[label] = versionId;
  if (label === CURRENT && holder !== undefined) secret.labels[PREVIOUS] = holder;
}

function tooManyLabels(): ApiError {
  return new ApiError(
    'LimitExceededException',
    `You've exceeded the maximum number of ${MAX_LABELS_PER_VERSION} staging labels per secret version.`,
  );
}

export interface LabelMove {
  readonly label: string;
  readonly moveTo?: string | undefined;
  readonly removeFrom?: string | undefined;
}

/**
 * UpdateSecretVersionStage: with both versions given it is a compare-and-swap of the label.
 *
 * @throws {ApiError} InvalidParameterException when the label is not where the caller believes it to be
 */
export function moveLabel(secret: Secret, { label, moveTo, removeFrom }: LabelMove, now: number): void {
  const invalid = (message: string): ApiError => new ApiError('InvalidParameterException', message);
  const holder = secret.labels[label];
  for (const id of [moveTo, removeFrom])
    if (id !== undefined && !secret.versions[id]) throw invalid(`Not a valid version: ${id}`);
  if (moveTo === undefined) {
    if (removeFrom === undefined)
      throw invalid('You must specify MoveToVersionId or RemoveFromVersionId, or both.');
    if (holder !== removeFrom) throw invalid(`Version stage ${label} not found in version ${removeFrom}`);
    if (label === CURRENT)
      throw invalid(
        `You can only move staging label ${CURRENT} to a different secret version. It can't be completely removed.`,
      );
    secret.labels = without(secret.labels, [label]);
  } else {
    if (removeFrom === undefined && holder !== undefined && holder !== moveTo)
      throw invalid(
        `The parameter RemoveFromVersionId can't be empty. Staging label ${label} is currently attached to version ` +
          `${holder}, so you must explicitly reference that version in RemoveFromVersionId.`,
      );
    if (removeFrom !== undefined && holder !== removeFrom)
      throw invalid(
        `When you move staging label ${label}, if you specify RemoveFromVersionId, it must be set to the version that ` +
          `currently has the staging label ${label}.`,
      );
    attach(secret, label, moveTo);
  }
  secret.changedAt = now;
}

/** Versions without a label stay only while there are few of them, or while they are young. */
function purge(secret: Secret, now: number): void {
  const unlabelled = Object.values(secret.versions)
    .filter(({ id }) => labelsOf(secret, id).length === 0)
    .sort((a, b) => b.createdAt - a.createdAt);
  const purged = unlabelled.slice(KEPT_WITHOUT_LABEL).filter(({ createdAt }) => now - createdAt > DAY);
  secret.versions = without(
    secret.versions,
    purged.map(({ id }) => id),
  );
}

function without<T>(record: Record<string, T>, keys: readonly string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
}

/**
 * The version that a caller asks for: by id, by label, by both (which must agree), or the current one.
 *
 * @throws {ApiError} ResourceNotFoundException, or InvalidRequestException when id and label disagree
 */
export function findVersion(
  secret: Secret,
  versionId: string | undefined,
  label: string | undefined,
): SecretVersion {
  const notFound = (what: string): ApiError =>
    new ApiError(
      'ResourceNotFoundException',
      `Secrets Manager can't find the specified secret value for ${what}`,
    );
  if (versionId !== undefined) {
    const version = secret.versions[versionId];
    if (!version) throw notFound(`VersionId: ${versionId}`);
    if (label !== undefined && secret.labels[label] !== versionId)
      throw new ApiError(
        'InvalidRequestException',
        'You provided a VersionStage that is not associated to the provided VersionId.',
      );
    return version;
  }
  const wanted = label ?? CURRENT;
  const version = secret.versions[secret.labels[wanted] ?? ''];
  if (!version) throw notFound(`staging label: ${wanted}`);
  return version;
}
