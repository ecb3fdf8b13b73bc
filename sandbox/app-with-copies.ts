import { App } from 'aws-cdk-lib';
import { addEnvironment } from '../lib/environment-stacks';
import { ENVIRONMENTS, type SnapshotCopies } from '../lib/environments';

/** The app as `bin/app.ts` makes it, for production whose snapshots are copied to another Region: off in the table. */
const copies: SnapshotCopies = {
  region: 'eu-west-1',
  preMigrationDays: 30,
  dailyDays: 3,
  weeklyDays: 30,
  keepNewest: 1,
  newestAtMostHours: 48,
};

addEnvironment(new App(), { ...ENVIRONMENTS.production, copies });
