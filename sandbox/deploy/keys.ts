import { accountIn, arn, type Account } from '../core/account';
import { resourcesOfType, type DeployedResource, type DeployedStacks } from './deploy';
import type { Json } from './json';

/** The keys that stacks have deployed, in whatever account: who may use them, and what they are called. */
export interface Keys {
  /** The policy of a key; undefined where no stack has deployed it. */
  policy(keyArn: string): Json | undefined;
  /** The ARN of a key that an account calls by its id, its alias or the ARN of one; undefined where no stack has deployed it. */
  named(account: Account, key: string): string | undefined;
}

/** What a key has for a policy where its template gives none: its account's own policies decide. */
const defaultPolicy = (accountId: string): Json => ({
  Version: '2012-10-17',
  Statement: [
    {
      Effect: 'Allow',
      Principal: { AWS: `arn:aws:iam::${accountId}:root` },
      Action: 'kms:*',
      Resource: '*',
    },
  ],
});

export function keysOf({ stacks }: DeployedStacks): Keys {
  const keyOf = (name: Json | undefined): DeployedResource | undefined =>
    [...stacks.values()]
      .flatMap((stack) => resourcesOfType(stack, 'AWS::KMS::Key'))
      .find(({ attributes, physicalId }) => attributes['Arn'] === name || physicalId === name);
  /** What an alias stands for, by its ARN. */
  const targetOf = (alias: string): Json | undefined =>
    [...stacks.values()]
      .filter(({ accountId }) => accountId === accountIn(alias))
      .flatMap((stack) => resourcesOfType(stack, 'AWS::KMS::Alias'))
      .find(({ physicalId }) => alias.endsWith(`:${physicalId}`))?.properties['TargetKeyId'];
  return {
    policy: (keyArn) => {
      const key = keyOf(keyArn);
      return key && (key.properties['KeyPolicy'] ?? defaultPolicy(accountIn(keyArn) ?? ''));
    },
    named: (account, name) => {
      const isArn = name.startsWith('arn:');
      const text = isArn ? name : arn(account, 'kms', name.startsWith('alias/') ? name : `key/${name}`);
      const found = keyOf(text.includes(':alias/') ? targetOf(text) : text)?.attributes['Arn'];
      // A key and its alias are of one Region.
      return typeof found === 'string' && found.split(':')[3] === account.region ? found : undefined;
    },
  };
}
