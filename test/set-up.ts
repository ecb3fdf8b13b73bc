import setUpMemory from './memory/set-up';

/**
 * What the virtual clocks of the tests show at first, in every process that a test starts. RDS has its backup and its maintenance
 * window, snapshots and drills their schedule: so that what a test meets does not depend on when it is run, all of them begin on
 * the same Wednesday morning, far from each. SANDBOX_BEGINS_AT of another moment shows what they do there.
 */
const BEGINS_AT = '2040-06-13T10:00Z';

export default function setUp(): void {
  process.env['SANDBOX_BEGINS_AT'] ??= BEGINS_AT;
  setUpMemory();
}
