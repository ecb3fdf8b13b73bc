import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import type { Account } from './account';
import type { ServerParameter } from './contract';

const TYPES = {
  BOOLEAN: 'boolean',
  ENUM: 'list',
  INTEGER: 'integer',
  REAL: 'float',
  STRING: 'string',
} as const;

const typeSchema = z.enum(['BOOLEAN', 'ENUM', 'INTEGER', 'REAL', 'STRING']);

/** Everything that can be set in postgresql.conf, as the server program itself describes it. */
export async function readCatalogue(
  postgres: string,
  account: Account | undefined,
): Promise<ServerParameter[]> {
  const { stdout } = await promisify(execFile)(postgres, ['--describe-config'], {
    cwd: '/',
    env: {},
    maxBuffer: 1 << 22,
    ...account,
  });
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      // The fifth is a default for some types only.
      const [name = '', context, , type, , min = '', max = '', description = ''] = line.split('\t');
      return {
        name,
        isStatic: context === 'postmaster',
        type: TYPES[typeSchema.parse(type)],
        ...(min !== '' && max !== '' && { range: { min: Number(min), max: Number(max) } }),
        description,
      };
    });
}
