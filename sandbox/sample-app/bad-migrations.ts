/** A migration that does harm, kept apart from the good ones until a drill or a test applies it. */
export interface BadMigration {
  /** Also the name of its folder in `bad-migrations`. */
  readonly name: 'dropped-column' | 'dropped-table' | 'destructive-backfill' | 'failed-half-way';
  /** As Prisma knows it: `<timestamp>_<name>`. */
  readonly migrationName: string;
  /** What it shows, for people who choose one. */
  readonly shows: string;
  /** What PostgreSQL answers the application from then on (SQLSTATE); undefined: it does not notice. */
  readonly refusal: '42703' | '42P01' | undefined;
}

export type BadMigrationName = BadMigration['name'];

/** Every kind of bad migration that the runbooks tell of. All are later than the good ones. */
export const badMigrations: readonly BadMigration[] = [
  {
    name: 'dropped-column',
    migrationName: '20251208120000_drop_details',
    shows: 'succeeds; the details of every task are gone',
    refusal: '42703',
  },
  {
    name: 'dropped-table',
    migrationName: '20251209120000_drop_comments',
    shows: 'succeeds; all comments and the view that counts them are gone',
    refusal: '42P01',
  },
  {
    name: 'destructive-backfill',
    migrationName: '20251210120000_assign_unassigned_tasks',
    shows: 'succeeds; a missing WHERE overwrites who works on every task, and its priority',
    refusal: undefined,
  },
  {
    name: 'failed-half-way',
    migrationName: '20251211120000_split_user_name',
    shows:
      'fails after its first half was committed; the names of users are gone and Prisma blocks every deploy',
    refusal: '42703',
  },
];

/** @throws RangeError for a name that is not in the table */
export function badMigration(name: string): BadMigration {
  const found = badMigrations.find((migration) => migration.name === name);
  if (found) return found;
  const names = badMigrations.map((migration) => migration.name).join(', ');
  throw new RangeError(`There is no bad migration ${JSON.stringify(name)}. Known: ${names}.`);
}
