import { readFileSync } from 'node:fs';

/** How long the native engine waits for a connection unless `connect_timeout` (seconds) says otherwise. */
const CONNECT_TIMEOUT_SECONDS = 5;

/**
 * Reads a connection URL as Prisma does. A password that the URL lacks is taken from PGPASSWORD, so that it need not
 * stand in the arguments with which the CLI starts the engine.
 *
 * `sslmode`: `disable` never uses TLS, `prefer` and `require` use it without looking at the certificate, `verify-ca` and
 * `verify-full` check it against `sslrootcert`, or else against Node's authorities (with NODE_EXTRA_CA_CERTS).
 *
 * @param {string} connectionUrl
 * @param {Readonly<Record<string, string | undefined>>} environment
 * @returns {{ config: import('pg').ClientConfig & { database: string }, schema: string, location: string, tls: 'required' | 'preferred' | 'off' }}
 */
export function connectionFrom(connectionUrl, environment = process.env) {
  const url = new URL(connectionUrl);
  if (url.protocol !== 'postgresql:' && url.protocol !== 'postgres:')
    throw new Error(
      `The URL must start with the protocol postgresql:// or postgres://, not ${url.protocol}//.`,
    );
  const parameters = url.searchParams;
  const port = Number(url.port || '5432');
  const schema = parameters.get('schema') ?? 'public';
  const user = decodeURIComponent(url.username) || 'postgres';
  const password = decodeURIComponent(url.password) || environment['PGPASSWORD'];
  const applicationName = parameters.get('application_name');
  const { tls, ssl } = tlsFrom(parameters);
  return {
    config: {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port,
      user,
      database: decodeURIComponent(url.pathname.slice(1)) || 'postgres',
      ...(password === undefined ? {} : { password }),
      ...(applicationName === null ? {} : { application_name: applicationName }),
      options: [parameters.get('options'), `-c search_path=${escapeOption(quoteIdentifier(schema))}`]
        .filter(Boolean)
        .join(' '),
      connectionTimeoutMillis: Number(parameters.get('connect_timeout') ?? CONNECT_TIMEOUT_SECONDS) * 1000,
      ssl,
    },
    schema,
    location: `${url.hostname}:${port}`,
    tls,
  };
}

/** @param {string} name */
export function quoteIdentifier(name) {
  return `"${name.replaceAll('"', '""')}"`;
}

/**
 * A value inside the `options` of a connection, where a space ends it.
 * @param {string} value
 */
function escapeOption(value) {
  return value.replace(/[\\ ]/g, String.raw`\$&`);
}

/**
 * @param {URLSearchParams} parameters
 * @returns {{ tls: 'required' | 'preferred' | 'off', ssl: false | import('node:tls').ConnectionOptions }}
 */
function tlsFrom(parameters) {
  const mode = parameters.get('sslmode') ?? 'prefer';
  const authorities = parameters.get('sslrootcert');
  const ca =
    authorities === null || authorities === 'system' ? {} : { ca: readFileSync(authorities, 'utf8') };
  switch (mode) {
    case 'disable':
      return { tls: 'off', ssl: false };
    case 'allow':
    case 'prefer':
      return { tls: 'preferred', ssl: { rejectUnauthorized: false } };
    case 'require':
      return {
        tls: 'required',
        ssl: { ...ca, rejectUnauthorized: parameters.get('sslaccept') === 'strict' },
      };
    case 'verify-ca':
      return {
        tls: 'required',
        ssl: { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined },
      };
    case 'verify-full':
      return { tls: 'required', ssl: { ...ca, rejectUnauthorized: true } };
    default:
      throw new Error(
        `The connection parameter sslmode is ${JSON.stringify(mode)}; allowed are disable, prefer, require, verify-ca and verify-full.`,
      );
  }
}
