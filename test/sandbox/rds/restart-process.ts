import { existsSync, rmSync } from 'node:fs';
import { RealClock, VirtualClock } from '../../../sandbox/core/clock';
import { DURATION_PROFILES, Durations, type DurationProfile } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';

/** A sandbox on a state directory, in which everything takes ten minutes; says where it is, and then waits to be killed. */
async function main(): Promise<void> {
  const [, , stateDirectory = '', clock, ending] = process.argv;
  const { operations } = DURATION_PROFILES.quick;
  const profile: DurationProfile = {
    walUploadInterval: 0,
    operations: {
      ...operations,
      ...Object.fromEntries(Object.keys(operations).map((kind) => [kind, { seconds: 600, spread: 0 }])),
    },
  };
  const sandbox = await Sandbox.start({
    clock: clock === 'virtual' ? new VirtualClock() : new RealClock(),
    durations: new Durations(profile),
    stateDirectory,
    log: (line) => void process.stderr.write(`${line}\n`),
  });
  if (ending === 'dies-deleting')
    // In one turn of the event loop, between two of which the state is saved: what is on disk does not know of it.
    sandbox.postgres.remove = async (data) => {
      // A new instance begins with removing, too: then there is nothing.
      if (!existsSync(data)) return;
      rmSync(data, { recursive: true });
      process.kill(process.pid, 'SIGKILL');
      await new Promise(() => undefined);
    };
  const { endpoint } = sandbox.context;
  process.stdout.write(`${JSON.stringify({ endpoint, caFile: sandbox.postgres.authority.caFile })}\n`);
  process.on('SIGTERM', () => void sandbox.stop().then(() => process.exit(0)));
}

void main();
