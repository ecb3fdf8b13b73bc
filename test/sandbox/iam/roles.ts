import { App, Stack } from 'aws-cdk-lib';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { functionPermissions } from '../../../lib/permissions/function-permissions';
import { z } from 'zod';
import type { Permission } from '../../../lib/permissions/permission';
import { SANDBOX_ACCOUNT } from '../../../sandbox/core/account';
import type { RoleRecord } from '../../../sandbox/deploy/iam-registry';
import type { Json } from '../../../sandbox/deploy/json';
import { readable } from '../../lib/synthesis';

const { accountId, region } = SANDBOX_ACCOUNT;

/** The permissions of every function of production, with references resolved, for two secrets that are there already. */
export function productionPermissions(secrets: {
  readonly databaseUrl: string;
  readonly master: string;
}): ReadonlyMap<string, readonly Permission[]> {
  const stack = new Stack(new App(), 'Stack', { env: { account: accountId, region } });
  const scope = {
    environment: 'production',
    databaseUrlSecret: Secret.fromSecretCompleteArn(stack, 'Url', secrets.databaseUrl),
    masterSecret: Secret.fromSecretCompleteArn(stack, 'Master', secrets.master),
    machineName: 'production-recovery',
    consumers: [{ cluster: 'shop', service: 'web' }],
    copyRegion: 'eu-west-1',
  } as const;
  const permissions = functionPermissions(stack, scope);
  const resolved = ([name, list]: [string, readonly Permission[]]): [string, Permission[]] => [
    name,
    list.map((permission) => ({
      ...permission,
      resources: permission.resources.map((resource) =>
        readable(stack.resolve(resource)).replaceAll('<AWS::Partition>', 'aws'),
      ),
    })),
  ];
  return new Map(Object.entries(permissions).map(resolved));
}

/** A role as the stacks make it, with some permissions; left out are those with the Sids in `without`. */
export function roleWith(
  name: string,
  permissions: readonly Permission[],
  { without, trusted = 'lambda.amazonaws.com' }: { without?: string; trusted?: string } = {},
): RoleRecord {
  return {
    name,
    arn: `arn:aws:iam::${accountId}:role/${name}`,
    trust: document([{ Effect: 'Allow', Principal: { Service: trusted }, Action: 'sts:AssumeRole' }]),
    policies: [
      {
        name: 'DefaultPolicy',
        document: document(
          permissions
            .filter(({ sid }) => sid !== without)
            .map(({ sid, actions, resources, conditions }) => ({
              Sid: sid,
              Effect: 'Allow',
              Action: [...actions],
              Resource: [...resources],
              ...(conditions && { Condition: z.json().parse(conditions) }),
            })),
        ),
      },
    ],
    managedPolicyArns: [],
    permissionsBoundary: undefined,
  };
}

export function document(statements: Json[]): Json {
  return { Version: '2012-10-17', Statement: statements };
}
