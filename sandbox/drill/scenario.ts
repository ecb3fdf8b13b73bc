import type { Check } from '../../lambdas/contract/checks';
import type { BadMigrationName } from '../sample-app/bad-migrations';
import type { DatabaseDigest } from '../sample-app/digest';
import type { RecoveryRun } from './recovery';
import type { LiveDatabase, Stage } from './stage';
import type { Written } from './writers';

/** What a scenario leaves behind for its checks. */
export interface Played {
  /** Every row of the app before the bad migration. */
  readonly before: DatabaseDigest;
  readonly liveBefore: LiveDatabase;
  readonly run: RecoveryRun;
  /** The same execution as it had ended before it was redriven. */
  readonly failed?: RecoveryRun;
  /** The plan that was made first. */
  readonly planned?: RecoveryRun;
  readonly writers?: readonly Written[];
  /** What was true in the middle of it. */
  readonly checks?: readonly Check[];
}

/** What a scenario has come to. */
export interface Outcome extends Played {
  /** Every row of what DATABASE_URL names now. */
  readonly after: DatabaseDigest;
}

/** A rehearsal: what goes wrong, how it is undone, and what must be true afterwards. */
export interface Scenario {
  readonly name: string;
  readonly shows: string;
  readonly badMigration: BadMigrationName;
  /** With fewer rows in the sample app it would not show what it is to show. @default 1 */
  readonly leastRows?: number;
  /** The CDK app that it is played with. @default that of `bin` */
  readonly cdkApp?: string;
  play(stage: Stage): Promise<Played>;
  /** Computed from the databases and the APIs, never assumed. */
  check(stage: Stage, outcome: Outcome): Promise<Check[]>;
}

/** What the operator of a drill gives as reason and name. */
export const OPERATOR = { reason: 'drill: the task tracker is broken', requestedBy: 'drill' };
