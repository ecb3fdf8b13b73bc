import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { NOT_YET_ERRORS } from '../../lambdas/contract/asking-again';
import { DATABASE_FUNCTIONS, type FunctionName } from '../../lambdas/contract/functions';
import * as errors from '../../lambdas/errors';
import { WAITS, type Wait } from '../../lib/recovery-machine/waits';
import { isRedrivableEnd, kebab, machine, state, states, steps, tasks } from '../lib/machine-definition';
import { ROOT, sectionsOf } from './markdown';

/** docs/state-machine.md, the machine as it is synthesised, and the errors of the functions say the same. */
const sections = sectionsOf('docs/state-machine.md');
const orderRows = sections.find(({ level }) => level === 1)?.rows ?? [];
const failureRows = sections.find(({ heading }) => heading === 'When a state fails')?.rows ?? [];
const isEnd = (name: string): boolean => isRedrivableEnd(name) || state(name).Type === 'Fail';
const endRows = failureRows.filter(([name = '']) => isEnd(name));
const stateRows = failureRows.filter(([name = '']) => !isEnd(name));
const namesIn = (cell: string): string[] => cell.match(/\b[A-Z]\w+\??/g) ?? [];

/** Where it goes on when nothing fails. */
function forward(name: string): string[] {
  const { Next, Default, Choices } = state(name);
  return [Next, ...Choices.map((choice) => choice.Next), Default].filter((next) => next !== undefined);
}

const wayForward = new Set<string>();
const walk = (name: string): void => {
  if (wayForward.has(name)) return;
  wayForward.add(name);
  forward(name).forEach(walk);
};
walk(machine.StartAt);

/** What happens when a state fails: the steps that undo, in their order, and where it ends, if the recovery does not go on. */
function afterFailureOf(name: string): { undone: string[]; ends: string[]; goesOn: boolean } {
  const after = { undone: new Array<string>(), ends: new Array<string>(), goesOn: false };
  const visit = (next: string): void => {
    if (wayForward.has(next)) after.goesOn = true;
    else if (isEnd(next)) after.ends.push(next);
    else {
      if (steps.some(([step]) => step === next)) after.undone.push(next);
      forward(next).forEach(visit);
    }
  };
  // Named by a catch is only what is no failure.
  for (const { ErrorEquals, Next } of state(name).Catch) if (ErrorEquals.includes('States.ALL')) visit(Next);
  return after;
}

/** Telling people of an end does not change it. */
const tellsOfEnd = ([name, { Next, Catch }]: (typeof tasks)[number]): boolean =>
  !wayForward.has(name) &&
  Next !== undefined &&
  isEnd(Next) &&
  Catch.every((handler) => handler.Next === Next);

test('the page has every state that can fail, once, with what is undone and where it ends', () => {
  const canFail = tasks.filter((task) => !isEnd(task[0]) && !tellsOfEnd(task)).map(([name]) => name);
  expect(stateRows.map(([name]) => name).sort()).toEqual([...canFail].sort());
  for (const [name = '', , undone = '', end = ''] of stateRows) {
    const after = afterFailureOf(name);
    expect({ name, undone: namesIn(undone) }).toEqual({ name, undone: after.undone });
    expect({ name, isSaid: undone.startsWith('nothing') }).toEqual({
      name,
      isSaid: after.undone.length === 0,
    });
    expect({ name, end: end === 'goes on' ? [] : namesIn(end) }).toEqual({ name, end: after.ends });
    expect({ name, goesOn: end === 'goes on' }).toEqual({ name, goesOn: after.goesOn });
  }
});

test('the page has every end that is a failure, with who tells of it and where a redrive goes on', () => {
  expect(endRows.map(([name]) => name).sort()).toEqual(
    states.flatMap(([name]) => (isEnd(name) ? [name] : [])).sort(),
  );
  for (const [name = '', toldBy = '', , redrive = ''] of endRows) {
    const telling = tasks.filter((task) => tellsOfEnd(task) && task[1].Next === name).map(([tells]) => tells);
    expect({ name, toldBy: namesIn(toldBy) }).toEqual({ name, toldBy: telling });
    expect({ name, goesOnWith: namesIn(redrive) }).toEqual({ name, goesOnWith: forward(name) });
  }
});

const errorRows = sectionsOf('docs/errors.md')
  .filter(({ heading }) => ['Not yet', 'Passing', 'Final'].includes(heading))
  .flatMap(({ rows }) => rows);
/** Those that docs/errors.md gives for every function. */
const general = errorRows.flatMap(([name = '', , where = '']) =>
  where.split(', ').includes('any') ? [name] : [],
);

test('the errors of a state are those that docs/errors.md has for it', () => {
  for (const [name = '', said = ''] of stateRows) {
    if (!steps.some(([step]) => step === name)) continue;
    const known = errorRows.flatMap(([error = '', , where = '']) =>
      where.split(', ').includes(name) && !general.includes(error) ? [error] : [],
    );
    expect({ name, errors: namesIn(said).sort() }).toEqual({ name, errors: known.sort() });
  }
});

test('a question fails with a no, or without an answer', () => {
  const asking = tasks.filter(([, { Resource }]) => Resource?.endsWith('waitForTaskToken'));
  expect(asking.length).toBeGreaterThan(1);
  for (const [name, { Retry }] of asking) {
    const said = namesIn(stateRows.find(([row]) => row === name)?.[1] ?? '');
    expect({ name, final: Retry[0]?.ErrorEquals }).toEqual({ name, final: [...said, 'States.Timeout'] });
  }
});

const classes = Object.keys(errors).filter((name) => /^[A-Z]/.test(name));
const sourceOf = (file: string): string => readFileSync(join(ROOT, 'lambdas', file), 'utf8');

/** The modules that a step is made of, types left out. */
function modulesOf(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, path = ''] of sourceOf(file).matchAll(/^import (?!type )[^;]*? from '(\.[^']+)';/gm)) {
    const imported = `${normalize(join(dirname(file), path))}.ts`;
    if (imported !== 'errors.ts' && existsSync(join(ROOT, 'lambdas', imported))) modulesOf(imported, seen);
  }
  return seen;
}

/** What a module can throw that a step uses, and what does not leave that step all the same. */
const STAYS_INSIDE: Readonly<Record<string, readonly [reason: string, ...errors: string[]]>> = {
  Plan: [
    'it compares settings, looks at versions and moves nothing; which migrations there are it need not know',
    'MigrationsNotChecked',
    'SecretMovedMeanwhile',
    'SettingsDiffer',
  ],
  StartRestore: ['it reads settings and compares nothing', 'SettingsDiffer'],
  TakeSafetySnapshot: [
    'its result says why there is none',
    ...['InstanceBusy', 'LiveInstanceUnclear', 'SnapshotQuotaExceeded'],
  ],
  FinishRename: ['its result says why there is no snapshot', 'SnapshotQuotaExceeded'],
  RecordPosition: [
    'its result says why nothing was recorded',
    ...['DatabaseUnreachable', 'FenceFailed', 'LoginRefused', 'QueryFailed'],
  ],
  FinishSettings: [
    'a difference that is left is told, not judged; it marks the proven cutover, and asks nobody about it',
    ...['RecoveryAlreadyRunning', 'SecretMovedMeanwhile', 'SettingsDiffer'],
  ],
  LiftFence: ['it asks whose the claim is, and leaves a fence that is not its own', 'RecoveryOvertaken'],
  Rename: ['that it cannot ask about migrations becomes RenameRefused', 'MigrationsNotChecked'],
  Prove: ['they become ProofFailed', 'DatabaseUnreachable', 'LoginRefused', 'QueryFailed'],
  Soak: [
    'what the databases do not say is a finding; it raises no fence',
    ...['DatabaseUnreachable', 'FenceFailed', 'LoginRefused', 'OldInstanceUnreachable', 'QueryFailed'],
  ],
  Drain: [
    'they become OldInstanceUnreachable; it raises no fence',
    ...['DatabaseUnreachable', 'FenceFailed', 'LoginRefused', 'QueryFailed'],
  ],
};

test('what the modules of a step can throw is said for its state, or does not leave it', () => {
  for (const [name] of steps) {
    const sources = [...modulesOf(`${kebab(name)}.ts`)].map(sourceOf);
    const thrown = classes.filter((error) => sources.some((source) => source.includes(`new ${error}(`)));
    const said = namesIn(stateRows.find(([row]) => row === name)?.[1] ?? '');
    const [, ...inside] = STAYS_INSIDE[name] ?? [''];
    expect({ name, thrown: thrown.filter((error) => !general.includes(error)).sort() }).toEqual({
      name,
      thrown: [...said, ...inside].sort(),
    });
  }
});

test('the order has every step, where it runs, what it asks again on, and for how long', () => {
  const waits: Readonly<Partial<Record<string, Wait>>> = WAITS;
  const notYet: Readonly<Partial<Record<string, string>>> = NOT_YET_ERRORS;
  const inVpc: readonly FunctionName[] = DATABASE_FUNCTIONS;
  const rows = orderRows.filter(([, , name = '']) => /^[a-z-]+$/.test(name));
  expect(rows.map(([, , name]) => name).sort()).toEqual(steps.map(([name]) => kebab(name)).sort());
  for (const [, place = '', name = '', vpc = '', error = '', pauses = ''] of rows) {
    expect(namesIn(place).map(kebab)).toContain(name);
    expect({ name, vpc }).toEqual({ name, vpc: inVpc.some((one) => one === name) ? 'yes' : '' });
    // Warm is called again by the machine, without an error.
    if (error.startsWith('(')) continue;
    expect({ name, error }).toEqual({ name, error: notYet[name] ?? '' });
    expect({ name, pauses }).toEqual({ name, pauses: inWords(waits[name]) });
  }
});

function inWords(wait: Wait | undefined): string {
  if (!wait) return '';
  const { first, share, limit } = wait;
  const until = limit.toHours({ integral: false }) < 1 ? `${limit.toMinutes()} min` : `${limit.toHours()} h`;
  return `${share > 0 ? 'growing' : `${first.toSeconds()} s`}, ${until}`;
}
