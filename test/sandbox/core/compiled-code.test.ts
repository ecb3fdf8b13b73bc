import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const MODULE = join(__dirname, '../../../sandbox/core/compiled-code.cjs');
/** Long enough to be worth while. */
const FILLING = `// ${'x'.repeat(3_000)}\n`;

const Ran = z.object({ answer: z.unknown(), rejected: z.array(z.boolean()) });

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'compiled-code-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const kept = (): string => join(directory, 'kept');
const files = (): string[] => readdirSync(kept());

/** Runs the program in a process of its own: what `answer` it exports, and whether V8 took what was kept for each script. */
function run(program: string): z.infer<typeof Ran> {
  const file = join(directory, 'program.js');
  writeFileSync(file, program);
  const script = `
    const vm = require('node:vm');
    const rejected = [];
    const { Script } = vm;
    vm.Script = class extends Script {
      constructor(text, options) { super(text, options); if (options.cachedData) rejected.push(this.cachedDataRejected); }
    };
    const keep = require(${JSON.stringify(MODULE)}).keepCompiled(${JSON.stringify(join(kept(), 'program'))});
    Promise.resolve(require(${JSON.stringify(file)}).answer()).then((answer) => {
      keep();
      process.stdout.write(JSON.stringify({ answer, rejected }));
    });`;
  return Ran.parse(JSON.parse(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })));
}

test('the second process takes what the first has compiled', () => {
  const program = `${FILLING}exports.answer = () => 'the same';`;
  expect(run(program)).toEqual({ answer: 'the same', rejected: [] });
  expect(run(program)).toEqual({ answer: 'the same', rejected: [false] });
  expect(files()).toHaveLength(1);
});

test('a program of the same length that says something else is compiled anew', () => {
  run(`${FILLING}exports.answer = () => 'before';`);
  expect(run(`${FILLING}exports.answer = () => 'behind';`)).toEqual({ answer: 'behind', rejected: [] });
});

test.each([
  ['of one of Node', `async () => (await import("node:path")).default.basename('/a/b')`, 'b', [false]],
  ['of another module', `async () => (await import("./other.mjs")).value`, 'other', []],
])('an import %s works with what was kept', (_, answer, expected, rejected) => {
  writeFileSync(join(directory, 'other.mjs'), `export const value = 'other';`);
  const program = `${FILLING}exports.answer = ${answer};`;
  expect(run(program).answer).toBe(expected);
  expect(run(program)).toEqual({ answer: expected, rejected });
});

test('where something fails is said as ever', () => {
  const program = `exports.answer = () => new Error('here').stack.split('\\n')[1].trim();\n${FILLING}`;
  const where = `at exports.answer (${join(directory, 'program.js')}:1:24)`;
  expect(run(program).answer).toBe(where);
  expect(run(program)).toEqual({ answer: where, rejected: [false] });
});

test('its require is that of the module', () => {
  writeFileSync(join(directory, 'other.js'), `exports.parent = module.parent.filename;`);
  const program = `${FILLING}
    exports.answer = () => [require('./other').parent, require.resolve('./other'), module.children.length, this === exports];`;
  const answer = [join(directory, 'program.js'), join(directory, 'other.js'), 1, true];
  expect([run(program).answer, run(program).answer]).toEqual([answer, answer]);
});

test('half a file is not used', () => {
  const program = `${FILLING}exports.answer = () => 'whole';`;
  run(program);
  const [file = ''] = files();
  truncateSync(join(kept(), file), Math.floor(statSync(join(kept(), file)).size / 2));
  expect(run(program)).toEqual({ answer: 'whole', rejected: [] });
  expect(run(program)).toEqual({ answer: 'whole', rejected: [false] });
});

test('where nothing can be kept everything runs all the same', () => {
  writeFileSync(kept(), 'a file where the directory would be');
  const program = `${FILLING}exports.answer = () => 'all the same';`;
  expect(run(program)).toEqual({ answer: 'all the same', rejected: [] });
});

test('a hundred programs are kept, and then the oldest goes', () => {
  run(`${FILLING}exports.answer = () => 0;`);
  const [first = ''] = files();
  for (let i = 0; i < 100; i++) writeFileSync(join(kept(), `other-${i}`), '');
  rmSync(join(kept(), first));
  run(`${FILLING}exports.answer = () => 1;`);
  expect(files()).toHaveLength(100);
  expect(files()).toContain(first);
});
