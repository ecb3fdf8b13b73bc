import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const ROOT = join(__dirname, '..');
const Settings = z.object({ context: z.record(z.string(), z.unknown()) });

/** The context that `npx cdk` gives the app: what is synthesised with it is what the command would synthesise. */
export function commandContext(): Record<string, unknown> {
  const { context } = Settings.parse(JSON.parse(readFileSync(join(ROOT, 'cdk.json'), 'utf8')));
  return {
    ...context,
    'aws:cdk:enable-path-metadata': true,
    'aws:cdk:enable-asset-metadata': true,
    'aws:cdk:version-reporting': true,
    'aws:cdk:bundling-stacks': ['**'],
  };
}
