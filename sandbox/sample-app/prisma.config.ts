import type { PrismaConfig } from 'prisma/config';

// Types only: a copy of this project runs from a directory where the package itself cannot be resolved.
export default {
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env['DATABASE_URL'] ?? '' },
} satisfies PrismaConfig;
