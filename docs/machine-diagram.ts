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
 * The machine as a Mermaid flowchart: the way forward from top to bottom, the ways back dotted. The states that tell people
 * (`Notify…`) are left out, for the reader's sake, where all ways from them lead to the same state.
 */
export function machineDiagram({ StartAt, States }: Definition): string {
  const tells = (name: string): boolean =>
    name.startsWith('Notify') &&
    (States[name]?.Catch.every(({ Next }) => Next === States[name]?.Next) ?? false);
  const behind = (name: string): string => (tells(name) ? behind(States[name]?.Next ?? '') : name);
  const names = Object.keys(States).filter((name) => !tells(name));
  const id = (name: string): string => `s${names.indexOf(name)}`;
  const shape = (name: string, { Type }: Definition['States'][string]): string => {
    if (Type === 'Choice') return `${id(name)}{"${name}"}`;
    if (Type === 'Succeed') return `${id(name)}(["${name}"]):::succeeded`;
    if (Type === 'Fail') return `${id(name)}(["${name}"]):::failed`;
    return `${id(name)}["${name}"]`;
  };
  const lines = names.flatMap((name) => {
    const state = States[name];
    if (!state) return [];
    const forward = [state.Next, ...state.Choices.map(({ Next }) => Next), state.Default].filter(
      (next) => next !== undefined,
    );
    const ways = new Set([
      ...forward.map((next) => `${id(name)} --> ${id(behind(next))}`),
      // A state that tells, and is caught when it can't, goes on to the same end.
      ...state.Catch.filter(({ Next }) => !forward.includes(behind(Next))).map(
        ({ Next }) => `${id(name)} -.-> ${id(behind(Next))}`,
      ),
    ]);
    return [shape(name, state), ...ways];
  });
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
