import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { machineDiagram, readmeWith, synthesisedMachine } from '../../docs/machine-diagram';

const ROOT = join(__dirname, '..', '..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

test('the picture of the machine is that of the synthesised definition (npm run docs)', () => {
  expect(readme).toBe(readmeWith(machineDiagram(synthesisedMachine()), readme));
});

test('every link to a file leads to one', () => {
  const links = [...readme.matchAll(/\]\(([^)#:]+)\)/g)].map(([, target = '']) => target);
  expect(links.length).toBeGreaterThan(0);
  for (const link of links) expect(() => readFileSync(join(ROOT, link))).not.toThrow();
});

test('every npm command in it is a script of the package or a command of npm itself', () => {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>;
  };
  const commands = [...readme.matchAll(/npm (run )?(?:--silent )?([a-z]+)/g)].map(([, run, name = '']) => ({
    run: run !== undefined,
    name,
  }));
  for (const { run, name } of commands)
    expect(run ? Object.keys(scripts) : ['ci', 'cit', 'test']).toContain(name);
});
