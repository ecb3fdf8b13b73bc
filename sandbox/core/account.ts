import { createHash } from 'node:crypto';
import type { Caller } from './api';
import type { Lasting } from './state-directory';

/** An account that the sandbox plays, and its Region. */
export interface Account {
  readonly accountId: string;
  readonly region: string;
  readonly partition: string;
}

/** The home account: there are others once something is deployed into them. */
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

/** The account in an ARN; undefined where it names none: of a bucket, of AWS's own, or no ARN at all. */
export function accountIn(text: string): string | undefined {
  return /^arn:[^:]+:[^:]*:[^:]*:(\d{12}):/.exec(text)?.[1];
}

/** Whoever may do everything in an account. */
export function administratorOf(account: Account): Caller {
  return { arn: arn(account, 'iam', 'user/administrator', { regional: false }) };
}

/**
 * The access keys that the sandbox has handed out, and whom each stands for. Any other key is the administrator of the home
 * account, so that a plain AWS CLI with made-up credentials works.
 */
export class Callers implements Lasting<ReadonlyMap<string, Caller>> {
  private readonly byAccessKey = new Map<string, Caller>();

  constructor(private readonly account: Account) {}

  administrator(): Caller {
    return administratorOf(this.account);
  }

  /** The same caller always gets the same keys. */
  credentialsFor(caller: Caller): Credentials {
    const { arn: callerArn, functionName, environment, session } = caller;
    const digest = createHash('sha256')
      .update([callerArn, functionName, environment, session?.name, session?.until.toISOString()].join(' '))
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
