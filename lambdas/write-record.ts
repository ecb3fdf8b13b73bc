import { s3Client, stepFunctionsClient } from './clients';
import { WriteRecordEvent } from './contract/record';
import { defineHandler } from './handler';
import { required } from './parse';
import { writeRecord } from './steps/write-record';

export const handler = defineHandler({
  name: 'write-record',
  event: WriteRecordEvent,
  step: writeRecord,
  deps: (settings) => ({
    stepFunctions: stepFunctionsClient(),
    s3: s3Client(),
    environment: settings.ENVIRONMENT,
    bucket: required(settings.RECORDS_BUCKET, 'RECORDS_BUCKET'),
  }),
});
