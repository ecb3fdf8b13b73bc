import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { NOT_YET_ERRORS, PASSING_ERRORS, STOPPED_NOT_YET } from '../../lambdas/contract/asking-again';
import { FUNCTIONS } from '../../lambdas/contract/functions';
import * as errors from '../../lambdas/errors';
import { ROOT, sectionsOf } from './markdown';

const sections = sectionsOf('docs/errors.md');
const rowsOf = (heading: string) => sections.find((section) => section.heading === heading)?.rows ?? [];
const rows = [...rowsOf('Not yet'), ...rowsOf('Passing'), ...rowsOf('Final')];
const gateRows = rowsOf('Of the gate');
const stateOf = (name: string): string =>
  name.replace(/(^|-)([a-z])/g, (_, _dash, letter: string) => letter.toUpperCase());

/** The names of the classes, as they are thrown. */
const classes = Object.values<unknown>(errors).flatMap((value) => {
  if (typeof value !== 'function' || !(value.prototype instanceof errors.RollbackError)) return [];
  const error: unknown = Reflect.construct(value, ['fact', 'hint']);
  return error instanceof errors.RollbackError ? [error.name] : [];
});

test('the page has every error, once, and no other', () => {
  expect(classes.length).toBeGreaterThan(20);
  expect([...rows, ...gateRows].map(([name]) => name).sort()).toEqual([...classes].sort());
});

test('the page knows which errors mean "not yet", and which pass by themselves', () => {
  const names = (heading: string) => rowsOf(heading).map(([name]) => name);
  // Two steps may mean the same.
  expect(names('Not yet').sort()).toEqual(
    [...new Set([...Object.values(NOT_YET_ERRORS), STOPPED_NOT_YET.error])].sort(),
  );
  expect(names('Passing').sort()).toEqual([...PASSING_ERRORS].sort());
});

test('no cell of the page is empty', () => {
  for (const row of rows) expect(row.map((cell) => cell !== '')).toEqual([true, true, true, true]);
  for (const row of gateRows) expect(row.map((cell) => cell !== '')).toEqual([true, true, true]);
});

test('"where" names states, among them those whose step throws the error', () => {
  const steps = FUNCTIONS.filter((name) => name !== 'pre-migration-snapshot');
  const states = steps.map(stateOf);
  for (const [name = '', , where = ''] of rows) {
    const named = where.split(', ');
    for (const place of named) expect([...states, 'any']).toContain(place);
    const throwing = steps.filter((step) =>
      new RegExp(`new ${name}\\(`).test(readFileSync(join(ROOT, 'lambdas', 'steps', `${step}.ts`), 'utf8')),
    );
    expect({ name, missing: throwing.map(stateOf).filter((state) => !named.includes(state)) }).toEqual({
      name,
      missing: [],
    });
  }
});
