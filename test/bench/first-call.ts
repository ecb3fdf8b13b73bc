import { DescribeDBInstancesCommand } from '@aws-sdk/client-rds';
import { RealClock } from '../../sandbox/core/clock';
import { durations } from '../../sandbox/rds/durations';
import { Sandbox } from '../../sandbox/sandbox';

/** A process that starts a sandbox, has one call answered and is done: what somebody waits for who starts one. */
async function firstCall(): Promise<void> {
  const sandbox = await Sandbox.start({ clock: new RealClock(), durations: durations('quick') });
  await sandbox.clients().rds.send(new DescribeDBInstancesCommand({}));
  process.stdout.write('answered\n');
  await sandbox.stop();
}

void firstCall();
