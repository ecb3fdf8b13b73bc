import * as errors from '../../lambdas/errors';
import { NOT_YET_ERRORS } from '../../lambdas/contract/asking-again';

const classes = Object.entries(errors).filter(
  ([name, value]) => typeof value === 'function' && /^[A-Z]/.test(name) && name !== 'RollbackError',
);

test.each(classes.map(([name]) => name))('%s is thrown under that very name', (name) => {
  const Class = Reflect.get(errors, name) as new (fact: string, hint: string) => Error;
  const error = new Class('It is so.', 'Do this.');
  expect(error).toBeInstanceOf(errors.RollbackError);
  expect({ name: error.name, message: error.message }).toEqual({ name, message: 'It is so. Hint: Do this.' });
});

test('every "not yet" error of the contract exists', () => {
  expect(classes.map(([name]) => name)).toEqual(expect.arrayContaining(Object.values(NOT_YET_ERRORS)));
});

test.each([
  [Object.assign(new Error('slow down'), { name: 'ThrottlingException' }), 'AwsUnavailable'],
  [Object.assign(new Error('x'), { $metadata: { httpStatusCode: 503 } }), 'AwsUnavailable'],
  [Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), 'AwsUnavailable'],
  [
    Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } }),
    'Unexpected',
  ],
  ['a string', 'Unexpected'],
])('%s leaves a function as %s with its cause', (thrown, name) => {
  expect(errors.toRollbackError(thrown)).toMatchObject({ name, cause: thrown });
});
