import { App } from 'aws-cdk-lib';
import { addEnvironment } from '../lib/environment-stacks';
import { ENVIRONMENTS, type SnapshotVault } from '../lib/environments';
import { SANDBOX_ACCOUNT } from './core/account';

/** The app as `bin/app.ts` makes it, for production whose snapshots are copied to another account: off in the table. */
const vault: SnapshotVault = {
  account: '222222222222',
  homeAccount: SANDBOX_ACCOUNT.accountId,
  preMigrationDays: 30,
  dailyDays: 3,
  weeklyDays: 30,
  keepNewest: 1,
  newestAtMostHours: 48,
  notify: [],
};

addEnvironment(new App(), { ...ENVIRONMENTS.production, vault });
