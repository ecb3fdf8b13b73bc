import * as z from 'zod/mini';
import { secretsManagerClient } from './clients';
import { ApplicationDatabaseProperties } from './contract/application-database';
import { defineHandler } from './handler';
import { required } from './parse';
import { applicationDatabase } from './steps/application-database';

const Event = z.object({
  RequestType: z.enum(['Create', 'Update', 'Delete']),
  PhysicalResourceId: z.optional(z.string()),
  ResourceProperties: z.unknown(),
});

/**
 * onEvent of a custom resource. Only Create does anything: an update must never write a secret back, and what Create made
 * goes with the database.
 */
export const handler = defineHandler({
  name: 'application-database',
  event: Event,
  deps: (settings) => ({
    secrets: secretsManagerClient(),
    masterSecretId: required(settings.MASTER_SECRET_ID, 'MASTER_SECRET_ID'),
    databaseUrlSecretId: required(settings.DATABASE_URL_SECRET_ID, 'DATABASE_URL_SECRET_ID'),
  }),
  step: async (event, deps) => {
    if (event.RequestType === 'Create')
      await applicationDatabase(ApplicationDatabaseProperties.parse(event.ResourceProperties), deps);
    return { PhysicalResourceId: event.PhysicalResourceId ?? 'application-database' };
  },
});
