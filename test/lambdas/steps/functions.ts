import { randomUUID } from 'node:crypto';
import type { FunctionName } from '../../../lambdas/contract/functions';
import type { StepDeps } from './carry-out';
import type { Lab } from './lab';

/** The name of the role that the steps' calls are made with; those of the test itself are the administrator's. */
export const STEPS = 'steps';

interface Environment {
  readonly deps: StepDeps;
  end(): void;
}

/**
 * Stands for Lambda: every step makes its calls under its function's name, in an execution environment that a fault can
 * kill. Its code cannot be stopped in the middle here, but reaches no API any more, and whatever it answers is not heard.
 */
export class Functions {
  private readonly environments = new Map<FunctionName, Environment>();

  constructor(private readonly lab: Lab) {}

  /** For `carryOut`. */
  readonly around = async <T>(
    step: FunctionName,
    call: (deps: StepDeps) => Promise<T>,
  ): Promise<{ answer: T } | 'killed'> => {
    const environment = this.environments.get(step) ?? this.start(step);
    const before = this.kills();
    let outcome: { answer: T } | { error: unknown };
    try {
      outcome = { answer: await call(environment.deps) };
    } catch (error) {
      outcome = { error };
    }
    if (this.kills() > before) {
      this.environments.delete(step);
      environment.end();
      return 'killed';
    }
    if ('error' in outcome) throw outcome.error;
    return outcome;
  };

  end(): void {
    for (const environment of this.environments.values()) environment.end();
    this.environments.clear();
  }

  private start(step: FunctionName): Environment {
    const { sandbox, now, masterSecretId, databaseUrlSecretId, snapshotRetentionDays } = this.lab;
    const arn = `arn:aws:iam::123456789012:role/${STEPS}`;
    const clients = sandbox.clients({ arn, functionName: step, environment: randomUUID() });
    const environment: Environment = {
      deps: { now, masterSecretId, databaseUrlSecretId, snapshotRetentionDays, ...clients },
      end: () => {
        for (const client of Object.values(clients)) client.destroy();
      },
    };
    this.environments.set(step, environment);
    return environment;
  }

  /** Steps run one at a time, so a new one is of the step that runs. */
  private kills(): number {
    return this.lab.sandbox.faults.fired().filter(({ fault }) => fault.fault === 'kill').length;
  }
}
