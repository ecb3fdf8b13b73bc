import type { RDSClient } from '@aws-sdk/client-rds';
import { rdsClientUnder } from './clients';
import { type VaultRules, readVaultRules } from './contract/rules';
import type { EnvironmentName, FunctionSettings } from './contract/settings';
import { isAwsError } from './errors';
import { required } from './parse';
import { listOwnSnapshots, type OwnSnapshot } from './snapshot-catalogue';

/** The account that snapshots are copied to as well (docs/decisions/0028-vault.md). */
export interface Vault {
  /** Over there, in the Region of the database, under a role that may not delete. */
  readonly rds: RDSClient;
  readonly rules: VaultRules;
}

/** As the settings of a function say. */
export function vaultOf({ VAULT_RULES, VAULT_ROLE_ARN }: FunctionSettings): Vault {
  return {
    rds: rdsClientUnder(required(VAULT_ROLE_ARN, 'VAULT_ROLE_ARN')),
    rules: readVaultRules(required(VAULT_RULES, 'VAULT_RULES')),
  };
}

export interface VaultContent {
  readonly copies: OwnSnapshot[];
  /** Why nobody knows what is there; undefined where it is known. */
  readonly closed: string | undefined;
}

/** For those that have other work to do as well: what happens at home does not depend on the other account. */
export async function lookIntoVault({ rds }: Vault, environment: EnvironmentName): Promise<VaultContent> {
  try {
    return { copies: await listOwnSnapshots(rds, environment, undefined), closed: undefined };
  } catch (error) {
    const closed = notLetIn(error);
    if (closed !== undefined) return { copies: [], closed };
    throw error;
  }
}

/** Why the other account does not let this function in, or do something there; undefined for any other error. */
export function notLetIn(error: unknown): string | undefined {
  return error instanceof Error && isAwsError(error, 'AccessDenied', 'AccessDeniedException')
    ? error.message
    : undefined;
}
