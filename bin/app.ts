import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { addEnvironment } from '../lib/environment-stacks';
import { selectEnvironments } from '../lib/environments';

const app = new App();
for (const settings of selectEnvironments(app.node.tryGetContext('environments')))
  addEnvironment(app, settings);
// The CDK's own switch does not reach plugins: the sandbox deploys what CI has checked.
if (process.env['CDK_VALIDATION'] !== 'false') Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
