import { App, Validations } from 'aws-cdk-lib';
import { addEnvironment } from '../lib/environment-stacks';
import { selectEnvironments } from '../lib/environments';

async function main(): Promise<void> {
  const app = new App();
  for (const settings of selectEnvironments(app.node.tryGetContext('environments')))
    addEnvironment(app, settings);
  // The CDK's own switch does not reach plugins: the sandbox deploys what CI has checked.
  if (process.env['CDK_VALIDATION'] === 'false') return;
  // Loading it takes a tenth of a synthesis.
  const { AwsSolutionsChecks } = await import('cdk-nag');
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
}

// The CDK synthesises when nothing is left to do.
void main();
