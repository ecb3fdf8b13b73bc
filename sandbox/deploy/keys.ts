import { accountIn } from '../core/account';
import type { DeployedStacks } from './deploy';
import type { Json } from './json';

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

/** The policy of a key that a stack has deployed, in whatever account; undefined where none has. */
export function keyPolicy({ stacks }: DeployedStacks, keyArn: string): Json | undefined {
  for (const stack of stacks.values())
    for (const { attributes, properties } of stack.ofType('AWS::KMS::Key'))
      if (attributes['Arn'] === keyArn)
        return properties['KeyPolicy'] ?? defaultPolicy(accountIn(keyArn) ?? '');
  return undefined;
}
