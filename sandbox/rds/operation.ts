import { ApiError, NotInSandbox, type Operation } from '../core/api';

/**
 * An operation that takes exactly the members it names: any other member of the SDK's model is refused by name, so that
 * nobody takes silence for success.
 */
export function operation<Input extends object>(
  name: string,
  members: readonly (keyof Input & string)[],
  run: (input: Input) => object | Promise<object>,
): Record<string, Operation<Input>> {
  const accepted = new Set<string>(members);
  return {
    [name]: async (input) => {
      for (const [member, value] of Object.entries(input)) {
        if (value !== undefined && !accepted.has(member)) {
          throw new NotInSandbox(`RDS ${name} member ${member}`);
        }
        // The SDK's model knows only numbers; all those that are accepted here are integers.
        if (typeof value === 'number' && !Number.isInteger(value))
          throw new ApiError('MalformedInput', `${member} must be a whole number.`);
      }
      return run(input);
    },
  };
}
