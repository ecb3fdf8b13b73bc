import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { validateDefinition } from '../../../../sandbox/step-functions/validate';
import { DATA, resolvePlaceholders } from './run-case';

const MachineType = z.enum(['STANDARD', 'EXPRESS']);

const CreateError = z.looseObject({
  id: z.string(),
  type: MachineType,
  definition: z.unknown(),
  error: z.looseObject({ message: z.string() }),
});

const Validation = z.looseObject({
  id: z.string(),
  type: MachineType,
  definition: z.unknown(),
  definitionText: z.string().nullable(),
  result: z.string(),
  diagnostics: z.array(z.looseObject({ code: z.string() })),
});

function read(name: string): unknown {
  const text = resolvePlaceholders(readFileSync(join(DATA, name), 'utf8'));
  // The recorder's name for the ARN of an activity.
  return JSON.parse(
    text.replaceAll('"activity_arn"', '"arn:aws:states:us-east-1:111111111111:activity:name"'),
  );
}

describe('definitions that the real CreateStateMachine refused', () => {
  it.each(z.array(CreateError).parse(read('create-errors.json')))('$id', ({ type, definition, error }) => {
    const [first] = validateDefinition(JSON.stringify(definition), type);
    const where = first?.location === undefined ? '' : ` at ${first.location}`;
    expect(`Invalid State Machine Definition: '${first?.code ?? ''}: ${first?.message ?? ''}${where}'`).toBe(
      error.message,
    );
  });
});

describe('answers of the real ValidateStateMachineDefinition', () => {
  // The sqs integration is known to be AWS's though it is not in the sandbox.
  it.each(z.array(Validation).parse(read('validate-api.json')))(
    '$id',
    ({ type, definition, definitionText, diagnostics }) => {
      expect(validateDefinition(definitionText ?? JSON.stringify(definition), type)).toEqual(diagnostics);
    },
  );
});

describe('definitions that were run on the real service', () => {
  it('are all valid', () => {
    const Line = z.looseObject({ id: z.string(), definition: z.unknown() });
    const invalid = readFileSync(join(DATA, 'cases.jsonl'), 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => Line.parse(JSON.parse(resolvePlaceholders(line))))
      .flatMap(({ id, definition }) => {
        const [first] = validateDefinition(JSON.stringify(definition));
        return first ? [{ id, message: first.message, location: first.location }] : [];
      });
    expect(invalid).toEqual([]);
  });
});
