import * as z from 'zod/mini';

/**
 * Properties of the custom resource that makes the application's role and database and fills the DATABASE_URL secret, once
 * (`lambdas/application-database.ts`). CloudFormation hands every value over as a string.
 */
export const ApplicationDatabaseProperties = z.object({
  host: z.string().check(z.minLength(1)),
  port: z.coerce.number().check(z.int()),
  databaseName: z.string().check(z.minLength(1)),
  applicationRole: z.string().check(z.minLength(1)),
});
export type ApplicationDatabaseProperties = z.infer<typeof ApplicationDatabaseProperties>;
