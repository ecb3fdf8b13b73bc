import { forcedFailureSchema, type ForcedFailure } from '../rds/forced-failures';

type Kind = ForcedFailure['kind'];

/** The operations that go on after their answer, what of them can fail (the first by default), and whom they are done to. */
const OPERATIONS: Readonly<Record<string, { readonly kinds: readonly Kind[]; readonly member: string }>> = {
  'rds:CreateDBInstance': { kinds: ['create'], member: 'DBInstanceIdentifier' },
  'rds:RestoreDBInstanceFromDBSnapshot': { kinds: ['restoreSnapshot'], member: 'DBInstanceIdentifier' },
  'rds:RestoreDBInstanceToPointInTime': {
    kinds: ['restoreToTime'],
    member: 'TargetDBInstanceIdentifier',
  },
  'rds:ModifyDBInstance': {
    kinds: ['modify', 'resetCredentials', 'rename'],
    member: 'DBInstanceIdentifier',
  },
  'rds:RebootDBInstance': { kinds: ['reboot'], member: 'DBInstanceIdentifier' },
  'rds:StopDBInstance': { kinds: ['stop'], member: 'DBInstanceIdentifier' },
  'rds:StartDBInstance': { kinds: ['start'], member: 'DBInstanceIdentifier' },
  // With a final snapshot first, which can fail too.
  'rds:DeleteDBInstance': { kinds: ['delete', 'snapshot'], member: 'DBInstanceIdentifier' },
  'rds:CreateDBSnapshot': { kinds: ['snapshot'], member: 'DBSnapshotIdentifier' },
  'rds:CopyDBSnapshot': { kinds: ['snapshot'], member: 'TargetDBSnapshotIdentifier' },
};

/** A wish for a failed status that can't be had, and why: `field` is what is wrong with it. */
export interface Impossible {
  readonly field: 'operation' | 'part' | 'status';
  readonly problem: string;
}

/** What has to be asked of RDS so that this call of an operation ends in `status`. */
export function failureOf(
  operation: string,
  status: string,
  part: string | undefined,
  input: Readonly<Record<string, unknown>> = {},
): ForcedFailure | Impossible {
  const found = OPERATIONS[operation];
  if (!found)
    return {
      field: 'operation',
      problem: `only these end in a status: ${Object.keys(OPERATIONS).join(', ')}`,
    };
  const kind = found.kinds.find((candidate) => part === undefined || candidate === part);
  if (kind === undefined)
    return { field: 'part', problem: `"${part ?? ''}" is none of: ${found.kinds.join(', ')}` };
  const identifier = input[found.member];
  const failure = forcedFailureSchema.safeParse({
    kind,
    status,
    ...(typeof identifier === 'string' && { identifier }),
  });
  return failure.success
    ? failure.data
    : { field: 'status', problem: failure.error.issues.map(({ message }) => message).join('; ') };
}
