import type {
  AddTagsToResourceMessage,
  ListTagsForResourceMessage,
  RemoveTagsFromResourceMessage,
  Tag,
} from '@aws-sdk/client-rds';
import { accountIn } from '../core/account';
import type { Operation } from '../core/api';
import type { Rds } from './rds';
import { automatedBackupNotFound, instanceNotFound, invalidValue, parameterGroupNotFound } from './errors';
import { snapshotNotFound, subnetGroupNotFound } from './errors';
import { required } from './identifiers';
import { operation } from './operation';

const MOST_TAGS = 50;

/** Tags as a caller gives them, checked. Later values of a key win. */
export function givenTags(tags: readonly Tag[] | undefined): Tag[] {
  return mergeTags([], tags ?? []);
}

function mergeTags(present: readonly Tag[], added: readonly Tag[]): Tag[] {
  const merged = new Map(present.map(({ Key = '', Value = '' }) => [Key, Value]));
  for (const { Key, Value = '' } of added) {
    const key = required(Key, 'Key');
    if (/^(?:aws|rds):/i.test(key)) {
      throw invalidValue(`Tag keys beginning with aws: or rds: are reserved for system use: ${key}`);
    }
    if (key.length > 128 || Value.length > 256 || !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(key + Value)) {
      throw invalidValue(`Tag with key ${key} is not valid.`);
    }
    merged.set(key, Value);
  }
  if (merged.size > MOST_TAGS) throw invalidValue(`A resource can have at most ${MOST_TAGS} tags.`);
  return [...merged].map(([Key, Value]) => ({ Key, Value }));
}

/** The record that an ARN names, to read and set its tags. */
function taggedBy(rds: Rds, name: string | undefined): { tags: Tag[] } {
  const resource = required(name, 'ResourceName');
  const [, region, kind, id] = /^arn:[^:]+:rds:([^:]*):\d*:([a-z-]+):(.+)$/.exec(resource) ?? [];
  const { account } = rds.context;
  const isOwn = region === account.region && accountIn(resource) === account.accountId;
  if (kind === undefined || id === undefined || !isOwn) {
    throw invalidValue(`Invalid resource name: ${resource}`);
  }
  const { state } = rds;
  switch (kind) {
    case 'db':
      return found(state.instances.get(id), instanceNotFound(id));
    case 'snapshot':
      return found(state.snapshots.get(id), snapshotNotFound(id));
    case 'pg':
      return found(state.parameterGroups.get(id), parameterGroupNotFound(id));
    case 'subgrp':
      return found(state.subnetGroups.get(id), subnetGroupNotFound(id));
    case 'auto-backup':
      throw automatedBackupNotFound(id);
    default:
      throw invalidValue(`Invalid resource name: ${resource}`);
  }
}

function found<T>(record: T | undefined, error: Error): T {
  if (!record) throw error;
  return record;
}

export function tagOperations(rds: Rds): Record<string, Operation> {
  return {
    ...operation<AddTagsToResourceMessage>('AddTagsToResource', ['ResourceName', 'Tags'], (input) => {
      const record = taggedBy(rds, input.ResourceName);
      record.tags = mergeTags(record.tags, input.Tags ?? []);
      return {};
    }),
    ...operation<RemoveTagsFromResourceMessage>(
      'RemoveTagsFromResource',
      ['ResourceName', 'TagKeys'],
      (input) => {
        const record = taggedBy(rds, input.ResourceName);
        const removed = new Set(input.TagKeys);
        record.tags = record.tags.filter(({ Key }) => Key === undefined || !removed.has(Key));
        return {};
      },
    ),
    ...operation<ListTagsForResourceMessage>('ListTagsForResource', ['ResourceName'], (input) => ({
      TagList: taggedBy(rds, input.ResourceName).tags,
    })),
  };
}
