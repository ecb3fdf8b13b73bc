import * as z from 'zod/mini';
import { text } from './texts';

/** What EventBridge says of an execution that has ended, of which this is enough; a person may send it, too. */
export const WriteRecordEvent = z.object({ executionArn: text(2048) });
export type WriteRecordResult =
  | {
      recorded: true;
      /** Name of the execution, and its status when it was looked at. */
      execution: string;
      status: string;
      /** Where the page for people is, and the document for programs: `s3://…`. */
      page: string;
      json: string;
    }
  | { recorded: false; execution: string; reason: string };
