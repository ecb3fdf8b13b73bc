import type { Scenario } from './scenario';
import { badMigration } from './scenarios/bad-migration';
import { firstBackup } from './scenarios/first-backup';
import { pointInTime } from './scenarios/point-in-time';
import { beforeMigration } from './scenarios/before-migration';
import { failedVerification } from './scenarios/failed-verification';
import { swapProofFails } from './scenarios/swap-proof-fails';
import { liveGone } from './scenarios/live-gone';
import { consumers } from './scenarios/consumers';
import { copyElsewhere } from './scenarios/copy-elsewhere';
import { copyToAccount } from './scenarios/copy-to-account';
import { oneWriter } from './scenarios/one-writer';
import { rejected } from './scenarios/rejected';
import { notAsRecorded } from './scenarios/not-as-recorded';
import { redrive } from './scenarios/redrive';
import { rotatedPasswords } from './scenarios/rotated-passwords';
import { cleanUp } from './scenarios/clean-up';
import { drillMode } from './scenarios/drill-mode';
import { adopt } from './scenarios/adopt';
import { rename } from './scenarios/rename';
import { undo } from './scenarios/undo';
import { soak } from './scenarios/soak';
import { verifiedAndWarm } from './scenarios/verified-and-warm';

/** What can be rehearsed, in the order of the list. */
export const SCENARIOS: readonly Scenario[] = [
  badMigration,
  pointInTime,
  beforeMigration,
  failedVerification,
  notAsRecorded,
  verifiedAndWarm,
  swapProofFails,
  liveGone,
  consumers,
  copyElsewhere,
  copyToAccount,
  oneWriter,
  rotatedPasswords,
  redrive,
  rejected,
  undo,
  soak,
  cleanUp,
  drillMode,
  firstBackup,
  adopt,
  rename,
];
