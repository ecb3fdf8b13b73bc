import type { Recovery } from './contract/recovery';
import type { RecoveryInput } from './contract/recovery-input';
import type { RecoveryRules } from './contract/rules';
import type { EnvironmentName } from './contract/settings';
import { InvalidInput } from './errors';

// How a recovery is carried out: what its input says, within what the table of environments says.

interface Rules {
  readonly recoveryRules: RecoveryRules;
  readonly environment: EnvironmentName;
}

export type Approvals = Pick<RecoveryRules, 'approveCutover' | 'approveRetirement'>;

/**
 * Who may start a recovery may ask for more approval than the environment does, not waive any: the rule would be none. Throws
 * InvalidInput.
 */
export function approvalsFor(input: RecoveryInput, { recoveryRules, environment }: Rules): Approvals {
  for (const field of ['approveCutover', 'approveRetirement'] as const)
    if (recoveryRules[field] && input[field] === false)
      throw new InvalidInput(
        `"${field}": false is refused: in ${environment} a person has to approve, whoever starts the recovery.`,
        `Leave "${field}" out and approve when you are asked, by the function ${environment}-decide; the rule is in lib/environments.ts.`,
      );
  return {
    approveCutover: input.approveCutover ?? recoveryRules.approveCutover,
    approveRetirement: input.approveRetirement ?? recoveryRules.approveRetirement,
  };
}

/** How long is for the operator to say; the alarms of the environment always count. */
export function soakFor(
  input: RecoveryInput,
  { recoveryRules }: Rules,
): Pick<Recovery, 'soakMinutes' | 'soakAlarms'> {
  return {
    soakMinutes: input.soakMinutes ?? recoveryRules.soakMinutes ?? 0,
    soakAlarms: [...new Set([...(recoveryRules.soakAlarms ?? []), ...(input.soakAlarms ?? [])])],
  };
}

/** What becomes of the old instance where nobody says. */
export function retireFor({ retire = 'delete' }: RecoveryInput): Recovery['retire'] {
  return retire;
}
