import { accountIn } from './account';
import { NotInSandbox, type ApiCall, type Interceptor } from './api';

/** Members of inputs that name resources; others may hold an ARN as mere text. */
const NAMES_A_RESOURCE = /(?:Arn|Id|Identifier|Name|Role|Url|Resource|Endpoint|Actions|Targets?)$/i;

/** Calls whose service knows by itself what becomes of a resource of another account there, as on AWS. */
const ACROSS_ACCOUNTS: Readonly<Record<string, readonly string[]>> = {
  'sts:AssumeRole': ['RoleArn'],
  'rds:DescribeDBSnapshots': ['DBSnapshotIdentifier'],
  'rds:DeleteDBSnapshot': ['DBSnapshotIdentifier'],
  'rds:ModifyDBSnapshotAttribute': ['DBSnapshotIdentifier'],
  'rds:DescribeDBSnapshotAttributes': ['DBSnapshotIdentifier'],
  'rds:CopyDBSnapshot': ['SourceDBSnapshotIdentifier', 'KmsKeyId'],
  'rds:RestoreDBInstanceFromDBSnapshot': ['DBSnapshotIdentifier'],
};

/** Refuses calls that name a resource of another account: services know those of their own account only, by their names. */
export const refuseOtherAccounts: Interceptor = async (call, next) => {
  const { service, operation, accountId } = call.context;
  const known = ACROSS_ACCOUNTS[`${service}:${operation}`] ?? [];
  for (const [member, value] of Object.entries(call.input)) {
    if (known.includes(member) || !NAMES_A_RESOURCE.test(member)) continue;
    const other = accountsIn(value).find((account) => account !== accountId);
    if (other !== undefined)
      throw new NotInSandbox(`${service}:${operation} of ${accountId} on a resource of the account ${other}`);
  }
  return next();
};

function accountsIn(value: ApiCall['input'][string]): string[] {
  if (typeof value === 'string') {
    const account = accountIn(value) ?? /^https?:\/\/[^/]+\/(\d{12})\//.exec(value)?.[1];
    return account === undefined ? [] : [account];
  }
  if (Array.isArray(value)) return value.flatMap(accountsIn);
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value)
    .filter(([member]) => NAMES_A_RESOURCE.test(member))
    .flatMap(([, each]) => accountsIn(each));
}
