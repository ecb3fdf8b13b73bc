import type { ApiError } from '../core/api';
import type { ErrorHandling } from './deliveries';

/** What EventBridge calls an error of a target: the codes of its dead letters. */
function codeOf({ code, message, status }: ApiError): string {
  if (message.includes('sts:AssumeRole')) return 'FAILED_TO_ASSUME_ROLE';
  if (/AccessDenied|AuthorizationError/.test(code)) return 'NO_PERMISSIONS';
  if (/NotFound|DoesNotExist|Deleting/.test(code)) return 'NO_RESOURCE';
  if (/TooManyRequests|Throttl/.test(code)) return 'THROTTLING';
  if (/Limit/.test(code)) return 'RESOURCE_LIMIT_EXCEEDED';
  return status >= 500 ? 'INTERNAL_ERROR' : 'ERROR_FROM_TARGET';
}

const RETRYABLE = ['THROTTLING', 'RESOURCE_LIMIT_EXCEEDED', 'INTERNAL_ERROR'];

/** Rules try again what may pass, and give up at once what only a person can mend. */
export const RULE_ERRORS: ErrorHandling = {
  code: codeOf,
  retryable: (error) => RETRYABLE.includes(codeOf(error)),
};
