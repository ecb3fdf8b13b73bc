import { App } from 'aws-cdk-lib';
import { addEnvironment } from '../lib/environment-stacks';
import { selectEnvironments } from '../lib/environments';
import { CONSUMERS } from './drill/consumers';

/** bin/app.ts for a drill: the table of environments names the services that the drill makes. */
const app = new App();
for (const settings of selectEnvironments(app.node.tryGetContext('environments'))) {
  const { recovery } = settings;
  addEnvironment(app, recovery ? { ...settings, recovery: { ...recovery, consumers: CONSUMERS } } : settings);
}
