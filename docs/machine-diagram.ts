import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { z } from 'zod';
import { addEnvironment } from '../lib/environment-stacks';
import { ENVIRONMENTS } from '../lib/environments';

const README = join(__dirname, '..', 'README.md');
const BEGIN = '<!-- machine: generated from the synthesised definition by `npm run docs` -->';
const END = '<!-- /machine -->';

const State = z.object({
  Type: z.string(),
  Next: z.string().optional(),
  Default: z.string().optional(),
  Choices: z.array(z.object({ Next: z.string() })).default([]),
  Catch: z.array(z.object({ Next: z.string() })).default([]),
});
const Definition = z.object({ StartAt: z.string(), States: z.record(z.string(), State) });
type Definition = z.infer<typeof Definition>;

const Template = z.object({
  Resources: z.record(
    z.string(),
    z.object({ Type: z.string(), Properties: z.record(z.string(), z.unknown()).optional() }),
  ),
});
const Joined = z.object({ 'Fn::Join': z.tuple([z.literal(''), z.array(z.unknown())]) });

/** The production machine as it is synthesised; references to other resources read `<reference>`. */
export function synthesisedMachine(): Definition {
  const app = new App({ context: { 'aws:cdk:bundling-stacks': [] } });
  addEnvironment(app, ENVIRONMENTS.production);
  const template = Template.parse(app.synth().getStackByName('Production-Rollback').template);
  const machine = Object.values(template.Resources).find(
    ({ Type }) => Type === 'AWS::StepFunctions::StateMachine',
  );
  const parts = Joined.parse(machine?.Properties?.DefinitionString)['Fn::Join'][1];
  const text = parts.map((part) => (typeof part === 'string' ? part : '<reference>')).join('');
  return Definition.parse(JSON.parse(text));
}

/**
 * The way forward through the machine as a Mermaid flowchart. The ways back are in the table of docs/state-machine.md: with
 * them nobody could read it. The states that tell people (`Notify…`) are left out where all ways from them lead to the same state.
 */
export function machineDiagram({ StartAt, States }: Definition): string {
  const tells = (name: string): boolean =>
    name.startsWith('Notify') &&
    (States[name]?.Catch.every(({ Next }) => Next === States[name]?.Next) ?? false);
  const behind = (name: string): string => (tells(name) ? behind(States[name]?.Next ?? '') : name);
  const next = (name: string): string[] => {
    const { Next, Choices, Default } = States[name] ?? { Choices: [] };
    const forward = [Next, ...Choices.map((choice) => choice.Next), Default];
    return [...new Set(forward.filter((to) => to !== undefined).map(behind))];
  };
  const names = new Set([StartAt]);
  // What is added meanwhile is gone through as well.
  for (const name of names) for (const to of next(name)) names.add(to);
  const ids = new Map([...names].map((name, index) => [name, `s${index}`]));
  const id = (name: string): string => ids.get(name) ?? '';
  const shape = (name: string): string => {
    const type = States[name]?.Type;
    if (type === 'Choice') return `${id(name)}{"${name}"}`;
    if (type === 'Succeed') return `${id(name)}(["${name}"]):::succeeded`;
    if (type === 'Fail') return `${id(name)}(["${name}"]):::failed`;
    return `${id(name)}["${name}"]`;
  };
  const lines = [...names].flatMap((name) => [
    shape(name),
    ...next(name).map((to) => `${id(name)} --> ${id(to)}`),
  ]);
  return [
    '```mermaid',
    'flowchart TD',
    `  start((start)) --> ${id(StartAt)}`,
    ...lines.map((line) => `  ${line}`),
    '  classDef succeeded fill:#d7f5dd,stroke:#2f9e44',
    '  classDef failed fill:#ffe3e3,stroke:#e03131',
    '```',
  ].join('\n');
}

/** README.md with the diagram of this machine between its markers. */
export function readmeWith(diagram: string, readme = readFileSync(README, 'utf8')): string {
  const [before = '', rest = ''] = readme.split(BEGIN);
  const after = rest.slice(rest.indexOf(END));
  return `${before}${BEGIN}\n\n${diagram}\n\n${after}`;
}

if (require.main === module) writeFileSync(README, readmeWith(machineDiagram(synthesisedMachine())));
