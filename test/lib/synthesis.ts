import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { z } from 'zod';
import { addEnvironment } from '../../lib/environment-stacks';
import { ENVIRONMENTS, type EnvironmentSettings } from '../../lib/environments';

// What the CDK itself checks, `npm run check` has it check; here it would take most of the time.
process.env['CDK_VALIDATION'] = 'false';

/**
 * Works on an app that skips bundling: templates and policies are the same, and no template test needs the bundles.
 * What it synthesises is removed afterwards.
 */
export function withApp<T>(work: (app: App) => T): T {
  const outdir = mkdtempSync(join(tmpdir(), 'migration-rollback-synth-'));
  try {
    return work(new App({ outdir, context: { 'aws:cdk:bundling-stacks': [] } }));
  } finally {
    rmSync(outdir, { recursive: true, force: true });
  }
}

const Resource = z.object({
  Type: z.string(),
  Properties: z.record(z.string(), z.unknown()).default({}),
  DeletionPolicy: z.string().optional(),
  UpdateReplacePolicy: z.string().optional(),
});
export type Resource = z.infer<typeof Resource>;

const Template = z.object({
  Resources: z.record(z.string(), Resource),
  Outputs: z.record(z.string(), z.object({ Value: z.unknown() })).default({}),
});
export type Template = z.infer<typeof Template>;

/** The templates of the stacks of these environments, by stack name. */
export function synthesise(
  settings: readonly EnvironmentSettings[] = Object.values(ENVIRONMENTS),
): ReadonlyMap<string, Template> {
  return withApp((app) => {
    for (const environment of settings) addEnvironment(app, environment);
    return new Map(app.synth().stacks.map((stack) => [stack.stackName, Template.parse(stack.template)]));
  });
}

export function templateOf(templates: ReadonlyMap<string, Template>, stackName: string): Template {
  const template = templates.get(stackName);
  if (!template) throw new Error(`There is no stack ${stackName}, only ${[...templates.keys()].join(', ')}`);
  return template;
}

/** The resources of a type. */
export function resourcesOf(template: Template, type: string): Resource[] {
  return Object.values(template.Resources).filter((resource) => resource.Type === type);
}

/** The properties of the one resource of a type. */
export function onlyOf(template: Template, type: string): Resource {
  const [resource, ...others] = resourcesOf(template, type);
  if (!resource || others.length > 0)
    throw new Error(`There are ${resourcesOf(template, type).length} ${type}, not one.`);
  return resource;
}

/** A string with its references written as `<LogicalId>`, `<LogicalId.Attribute>` or `<ExportName>`. */
export function readable(value: unknown): string {
  if (typeof value === 'string') return value;
  const join = z.object({ 'Fn::Join': z.tuple([z.string(), z.array(z.unknown())]) }).safeParse(value);
  if (join.success) return join.data['Fn::Join'][1].map(readable).join(join.data['Fn::Join'][0]);
  const [operand] = Object.values(z.record(z.string(), z.unknown()).parse(value));
  return `<${Array.isArray(operand) ? operand.join('.') : readable(operand)}>`;
}
