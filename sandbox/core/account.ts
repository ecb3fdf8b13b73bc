import { createHash } from 'node:crypto';
import type { Caller } from './api';
import type { Lasting } from './state-directory';

/** The account and Region that the sandbox plays. */
export interface Account {
  readonly accountId: string;
  readonly region: string;
  readonly partition: string;
}

export const SANDBOX_ACCOUNT: Account = {
  accountId: '123456789012',
  region: 'eu-central-1',
  partition: 'aws',
};

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
}

/** `arn:aws:<service>:<region>:<account>:<resource>`; `region` is left out for the services that have none. */
export function arn(
  account: Account,
  service: string,
  resource: string,
  options: { regional?: boolean } = {},
): string {
  const { partition, region, accountId } = account;
  return `arn:${partition}:${service}:${options.regional === false ? '' : region}:${accountId}:${resource}`;
}

/**
 * The access keys that the sandbox has handed out, and whom each stands for. Any other key is the account's administrator,
 * so that a plain AWS CLI with made-up credentials works.
 */
export class Callers implements Lasting<ReadonlyMap<string, Caller>> {
  private readonly byAccessKey = new Map<string, Caller>();

  constructor(private readonly account: Account) {}

  administrator(): Caller {
    return { arn: arn(this.account, 'iam', 'user/administrator', { regional: false }) };
  }

  /** The same caller always gets the same keys. */
  credentialsFor(caller: Caller): Credentials {
    const digest = createHash('sha256')
      .update([caller.arn, caller.functionName, caller.environment].join(' '))
      .digest('hex');
    const accessKeyId = `ASIA${digest.slice(0, 16).toUpperCase()}`;
    this.byAccessKey.set(accessKeyId, caller);
    return { accessKeyId, secretAccessKey: digest.slice(16, 56), sessionToken: digest };
  }

  find(accessKeyId: string): Caller {
    return this.byAccessKey.get(accessKeyId) ?? this.administrator();
  }

  save(): ReadonlyMap<string, Caller> {
    // Execution environments end with the process, and there are many of them.
    return new Map([...this.byAccessKey].filter(([, { environment }]) => environment === undefined));
  }

  load(byAccessKey: ReadonlyMap<string, Caller>): void {
    for (const [key, caller] of byAccessKey) this.byAccessKey.set(key, caller);
  }
}
