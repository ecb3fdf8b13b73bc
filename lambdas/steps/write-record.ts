import { PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import {
  DescribeExecutionCommand,
  paginateGetExecutionHistory,
  type HistoryEvent,
  type SFNClient,
} from '@aws-sdk/client-sfn';
import type { WriteRecordResult } from '../contract/record';
import type { EnvironmentName } from '../contract/settings';
import { modeOf, recordOf } from '../recovery-record';
import { pageOf } from '../recovery-record-page';

export interface WriteRecordDeps {
  readonly stepFunctions: SFNClient;
  readonly environment: EnvironmentName;
  readonly s3: S3Client;
  readonly bucket: string;
}

/**
 * Writes the record of a recovery, from what its execution says of itself at this moment: asked again, after a redrive for
 * instance, it writes a newer version under the same names.
 */
export async function writeRecord(
  { executionArn }: { executionArn: string },
  { stepFunctions, s3, environment, bucket }: WriteRecordDeps,
): Promise<WriteRecordResult> {
  const execution = await stepFunctions.send(new DescribeExecutionCommand({ executionArn }));
  const { name = '', startDate, status = '' } = execution;
  if (modeOf(execution.input) === 'plan')
    return { recorded: false, execution: name, reason: 'A plan changes nothing and leaves no record.' };
  const events: HistoryEvent[] = [];
  const pages = paginateGetExecutionHistory({ client: stepFunctions, pageSize: 1000 }, { executionArn });
  for await (const page of pages) events.push(...(page.events ?? []));
  const record = recordOf(environment, execution, events);
  // The machine puts this name into its messages.
  const key = `${(startDate ?? new Date(0)).toISOString().slice(0, 10)}/${name}`;
  const put = async (ending: string, type: string, text: string): Promise<string> => {
    await s3.send(
      new PutObjectCommand({ Bucket: bucket, Key: `${key}.${ending}`, ContentType: type, Body: text }),
    );
    return `s3://${bucket}/${key}.${ending}`;
  };
  return {
    recorded: true,
    execution: name,
    status,
    json: await put('json', 'application/json', `${JSON.stringify(record, null, 2)}\n`),
    page: await put('md', 'text/markdown; charset=utf-8', pageOf(record)),
  };
}
