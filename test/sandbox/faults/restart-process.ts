import { VirtualClock } from '../../../sandbox/core/clock';
import { readFaultPlan } from '../../../sandbox/faults/plan';
import { durations } from '../../../sandbox/rds/durations';
import { Sandbox } from '../../../sandbox/sandbox';

/** A sandbox in a process of its own, on a state directory and with a plan that ends it; says where it answers and what is still to happen. */
async function main(): Promise<void> {
  const [directory = '', plan = ''] = process.argv.slice(2);
  const sandbox = await Sandbox.start({
    clock: new VirtualClock(),
    durations: durations('quick'),
    stateDirectory: directory,
    faults: await readFaultPlan(plan),
    onRestart: () => process.kill(process.pid, 'SIGKILL'),
  });
  const { endpoint } = sandbox.context;
  process.stdout.write(`${JSON.stringify({ endpoint, unfired: sandbox.faults.unfired().length })}\n`);
  process.stdin.on('end', () => void sandbox.stop().then(() => process.exit(0))).resume();
}

void main();
