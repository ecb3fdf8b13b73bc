import { FailEvent } from './contract/way-back';
import { defineHandler } from './handler';
import { fail } from './steps/fail';

export const handler = defineHandler({ name: 'fail', event: FailEvent, step: fail, deps: () => undefined });
