import type {
  DBSnapshotAttributesResult,
  DescribeDBSnapshotAttributesMessage,
  ModifyDBSnapshotAttributeMessage,
} from '@aws-sdk/client-rds';
import { ApiError, NotInSandbox, type Operation } from '../core/api';
import { defaultKey } from './defaults';
import { invalidSnapshotState, invalidValue } from './errors';
import { required } from './identifiers';
import { operation } from './operation';
import type { Rds } from './rds';
import type { SnapshotRecord } from './state';

/** Accounts that a snapshot can be shared with. */
const MOST_ACCOUNTS = 20;

/** Which other accounts may see a snapshot, copy it and, if it is not encrypted, restore it. */
export function sharingOperations(rds: Rds): Record<string, Operation> {
  return {
    ...operation<ModifyDBSnapshotAttributeMessage>(
      'ModifyDBSnapshotAttribute',
      ['DBSnapshotIdentifier', 'AttributeName', 'ValuesToAdd', 'ValuesToRemove'],
      (input) => ({ DBSnapshotAttributesResult: modify(rds, input) }),
    ),
    ...operation<DescribeDBSnapshotAttributesMessage>(
      'DescribeDBSnapshotAttributes',
      ['DBSnapshotIdentifier'],
      (input) => ({ DBSnapshotAttributesResult: described(rds.snapshot(input.DBSnapshotIdentifier)) }),
    ),
  };
}

function modify(rds: Rds, input: ModifyDBSnapshotAttributeMessage): DBSnapshotAttributesResult {
  const snapshot = rds.snapshot(input.DBSnapshotIdentifier);
  const { ValuesToAdd: add = [], ValuesToRemove: remove = [] } = input;
  const attribute = required(input.AttributeName, 'AttributeName');
  if (attribute !== 'restore') throw invalidValue(`Invalid snapshot attribute: ${attribute}`);
  if ([...add, ...remove].includes('all')) throw new NotInSandbox('snapshots that everybody may restore');
  for (const account of [...add, ...remove])
    if (!/^\d{12}$/.test(account)) throw invalidValue(`Invalid account id: ${account}`);
  if (add.length > 0) admitSharing(rds, snapshot);
  const accounts = new Set([...snapshot.sharedWith, ...add]);
  for (const account of remove) accounts.delete(account);
  if (accounts.size > MOST_ACCOUNTS)
    throw new ApiError(
      'SharedSnapshotQuotaExceededFault',
      `You have exceeded the maximum number of accounts (${MOST_ACCOUNTS}) that you can share a manual DB snapshot with.`,
    );
  snapshot.sharedWith = [...accounts].sort();
  return described(snapshot);
}

/** AWS documents that these are refused; the words are ours. */
function admitSharing(rds: Rds, { identifier, type, status, kmsKeyId }: SnapshotRecord): void {
  if (type === 'automated') throw notSharable(`${identifier} is automated: copy it, and share the copy.`);
  if (status !== 'available') throw invalidSnapshotState(identifier, status);
  if (kmsKeyId === defaultKey(rds.context.account))
    throw notSharable(
      `${identifier} is encrypted with the default key of the account (aws/rds): copy it with a customer managed key, and share the copy.`,
    );
}

function notSharable(why: string): ApiError {
  return new ApiError('InvalidDBSnapshotStateFault', `The snapshot can't be shared: ${why}`);
}

function described({ identifier, sharedWith }: SnapshotRecord): DBSnapshotAttributesResult {
  return {
    DBSnapshotIdentifier: identifier,
    DBSnapshotAttributes: [{ AttributeName: 'restore', AttributeValues: [...sharedWith] }],
  };
}
