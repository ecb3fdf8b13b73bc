/** What the Resource of a Task state asks for. */
export type Resource =
  | { readonly kind: 'lambda'; readonly arn: string }
  | { readonly kind: 'activity'; readonly arn: string }
  | {
      readonly kind: 'service';
      readonly arn: string;
      /** `lambda`, `sns`, `aws-sdk:rds`. */
      readonly service: string;
      /** Without the pattern: `invoke`. */
      readonly operation: string;
      readonly pattern: 'request' | 'sync' | 'sync:2' | 'waitForTaskToken';
      /** With the pattern, as the history has it: `invoke.waitForTaskToken`. */
      readonly name: string;
    };

const SERVICE =
  /^arn:[^:]*:states:[^:]*:[^:]*:(aws-sdk:[^:]+|[^:]+):([^:.]+)(\.(sync:2|sync|waitForTaskToken))?$/;

/** Reads a Resource; undefined for an ARN that no Task can have. */
export function parseResource(arn: string): Resource | undefined {
  const [, , service, , , type] = arn.split(':');
  if (service === 'lambda' && type === 'function') return { kind: 'lambda', arn };
  if (service === 'states' && type === 'activity') return { kind: 'activity', arn };
  const parts = SERVICE.exec(arn);
  const [, name, operation, suffix = '', pattern = 'request'] = parts ?? [];
  if (name === undefined || operation === undefined) return undefined;
  if (pattern !== 'request' && pattern !== 'sync' && pattern !== 'sync:2' && pattern !== 'waitForTaskToken')
    return undefined;
  return { kind: 'service', arn, service: name, operation, pattern, name: operation + suffix };
}
