import { SecretUnclear } from './errors';
import { jsonScalars, type JsonScalar } from './json-strings';
import type { Login } from './postgres';

/**
 * The DATABASE_URL secret: a plain URL, a JSON object with `url` or `DATABASE_URL`, or RDS-style fields (`host`, `port`,
 * `username`, `password`, `dbname`). Pure functions; all of them throw SecretUnclear, never with the secret's content
 * beyond field names, hosts and ports.
 */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  /** RDS writes it into its own secrets as `dbInstanceIdentifier`. */
  readonly instanceId?: string;
}

const DEFAULT_PORT = 5432;
const SHAPES =
  'Store a plain postgresql:// URL, a JSON object with "url" or "DATABASE_URL", or one with "host", "port", "username", "password" and "dbname".';

/** How the application logs in. Where several fields say it, `url` comes before `DATABASE_URL` before the single fields. */
export function readLogin(secret: string): Login {
  const text = secret.trim();
  if (isUrl(text)) return loginOfUrl(text, 'the secret');
  const fields = scalarsOf(secret);
  const logins: { field: string; login: Login }[] = [];
  for (const name of ['url', 'DATABASE_URL']) {
    const field = topLevel(fields, (key) => key === name);
    if (typeof field?.value !== 'string') continue;
    if (!isUrl(field.value.trim()))
      throw new SecretUnclear(`Field "${name}" is not a postgresql:// URL.`, SHAPES);
    logins.push({ field: name, login: loginOfUrl(field.value.trim(), `field "${name}"`) });
  }
  const single = loginOfFields(fields);
  if (single) logins.push({ field: 'host', login: single });
  const [first, ...others] = logins;
  if (!first) throw new SecretUnclear('The secret has no field that says how to connect.', SHAPES);
  for (const other of others) {
    if (!isSameEndpoint(other.login, first.login))
      throw new SecretUnclear(
        `The secret names two endpoints: "${first.field}" says ${first.login.host}:${first.login.port}, "${other.field}" says ${other.login.host}:${other.login.port}.`,
        'Make them the same, so that it is certain which database is live.',
      );
  }
  return first.login;
}

/** Whether both lead to the same server. */
export function isSameEndpoint(
  one: Pick<Endpoint, 'host' | 'port'>,
  other: Pick<Endpoint, 'host' | 'port'>,
): boolean {
  return isSameHost(one.host, other.host) && one.port === other.port;
}

/** Whether two ways of writing it lead to the same host: capitals, brackets and a dot at the end say nothing. */
export function isSameHost(one: string, other: string): boolean {
  const normal = (host: string): string => bareHost(host).toLowerCase().replace(/\.$/, '');
  return normal(one) === normal(other);
}

/** The `schema` parameter of the URL, in which Prisma keeps its migration table; undefined where none is written. */
export function readSchema(secret: string): string | undefined {
  const text = secret.trim();
  const urls = isUrl(text)
    ? [text]
    : ['url', 'DATABASE_URL'].flatMap((name) => {
        const value = topLevel(scalarsOf(secret), (key) => key === name)?.value;
        return typeof value === 'string' && isUrl(value.trim()) ? [value.trim()] : [];
      });
  return urls
    .flatMap((url) => takeApart(url, 'the secret').parameters)
    .find(({ name, value }) => name === 'schema' && value !== '')?.value;
}

/**
 * The secret with every field that names `from` naming `to`; every other byte is as before. Throws when nothing names
 * `from`, or when something names it in a way that cannot be moved with certainty.
 */
export function moveEndpoint(secret: string, from: Endpoint, to: Endpoint): string {
  const moved = isUrl(secret.trim())
    ? moveInUrl(secret, from, to, 'the secret')
    : moveInFields(secret, from, to);
  if (moved === undefined)
    throw new SecretUnclear(
      `The secret does not name ${from.host}:${from.port}.`,
      'It was changed, or names the instance by another DNS name; put the endpoint of the instance into it.',
    );
  return moved;
}

// --- URLs ---

interface Span {
  readonly start: number;
  readonly end: number;
}
interface UrlParts {
  readonly user: string;
  readonly password: string;
  readonly database: string;
  /** Where host, port (undefined: none written) and the values of query parameters are. */
  readonly host: Span;
  readonly port: Span | undefined;
  readonly parameters: readonly { readonly name: string; readonly value: string; readonly span: Span }[];
}

function isUrl(text: string): boolean {
  return /^postgres(ql)?:\/\//i.test(text);
}

/**
 * Takes a URL apart by hand, with the places of its parts: WHATWG's URL would write odd passwords anew. The rules are the
 * same: the authority ends at the first of `/?#`, the host begins after the last `@` in it.
 */
function takeApart(url: string, where: string): UrlParts {
  const scheme = /^\s*(?:jdbc:)?[a-z][a-z0-9+.-]*:\/\//i.exec(url);
  const begin = scheme?.[0].length ?? 0;
  const authorityLength = url.slice(begin).search(/[/?#\s]|$/);
  const authorityEnd = begin + authorityLength;
  const at = url.lastIndexOf('@', authorityEnd - 1);
  const hostStart = at >= begin ? at + 1 : begin;
  const userinfo = at >= begin ? url.slice(begin, at) : '';
  const hostAndPort = url.slice(hostStart, authorityEnd);
  if (hostAndPort.includes(','))
    throw new SecretUnclear(`The URL in ${where} names more than one host.`, 'Name the one live instance.');
  const split = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d*))?$/.exec(hostAndPort);
  if (!split)
    throw new SecretUnclear(
      `The URL in ${where} has no readable host and port.`,
      'Characters like / ? # @ : in a password must be percent-encoded.',
    );
  const hostEnd = hostStart + (split[1] ?? '').length;
  const port = split[2] ? { start: hostEnd + 1, end: authorityEnd } : undefined;

  const hash = url.indexOf('#', authorityEnd);
  const end = hash >= 0 ? hash : url.trimEnd().length;
  const question = url.slice(0, end).indexOf('?', authorityEnd);
  const pathEnd = question >= 0 ? question : end;
  const parameters: { name: string; value: string; span: Span }[] = [];
  if (question >= 0) {
    let start = question + 1;
    for (const pair of url.slice(start, end).split('&')) {
      const equals = pair.indexOf('=');
      if (equals > 0)
        parameters.push({
          name: decode(pair.slice(0, equals)),
          value: decode(pair.slice(equals + 1).replaceAll('+', ' ')),
          span: { start: start + equals + 1, end: start + pair.length },
        });
      start += pair.length + 1;
    }
  }
  const colon = userinfo.indexOf(':');
  return {
    user: decode(colon >= 0 ? userinfo.slice(0, colon) : userinfo),
    password: colon >= 0 ? decode(userinfo.slice(colon + 1)) : '',
    database: decode(url.slice(authorityEnd, pathEnd).replace(/^\//, '')),
    host: { start: hostStart, end: hostEnd },
    port,
    parameters,
  };
}

/** Host and port that a client of this URL connects to: parameters win over the authority, as in libpq and pg. */
function endpointOf(url: string, parts: UrlParts, where: string): { host: string; port: number } {
  const parameter = (name: string): string | undefined =>
    parts.parameters.find((one) => one.name === name)?.value;
  const host = parameter('host') ?? bareHost(url.slice(parts.host.start, parts.host.end));
  if (host.includes(','))
    throw new SecretUnclear(`The URL in ${where} names more than one host.`, 'Name the one live instance.');
  const written = parameter('port') ?? (parts.port && url.slice(parts.port.start, parts.port.end));
  return { host: bareHost(host), port: written ? Number(written) : DEFAULT_PORT };
}

function loginOfUrl(url: string, where: string): Login {
  const parts = takeApart(url, where);
  const parameter = (name: string): string | undefined =>
    parts.parameters.find((one) => one.name === name)?.value;
  const { host, port } = endpointOf(url, parts, where);
  const user = parameter('user') ?? parts.user;
  if (host === '' || user === '')
    throw new SecretUnclear(`The URL in ${where} has no ${host === '' ? 'host' : 'user'}.`, SHAPES);
  const database = parameter('dbname') ?? parts.database;
  return {
    host,
    port,
    user,
    password: parameter('password') ?? parts.password,
    database: database === '' ? user : database,
  };
}

/** The URL with its endpoint moved; undefined when it names another one. */
function moveInUrl(url: string, from: Endpoint, to: Endpoint, where: string): string | undefined {
  const edits = urlEdits(url, from, to, where);
  return edits && splice(url, edits);
}

interface Edit extends Span {
  readonly text: string;
}

function urlEdits(url: string, from: Endpoint, to: Endpoint, where: string): Edit[] | undefined {
  const parts = takeApart(url, where);
  const edits: Edit[] = [];
  const authorityHost = bareHost(url.slice(parts.host.start, parts.host.end));
  const hostParameters = parts.parameters.filter(({ name }) => name === 'host' || name === 'hostaddr');
  const namedByParameter = hostParameters.filter(({ value }) => isSameHost(value, from.host));
  if (!isSameHost(authorityHost, from.host) && namedByParameter.length === 0) return undefined;

  const { host, port } = endpointOf(url, parts, where);
  if (!isSameHost(host, from.host) || port !== from.port || namedByParameter.length !== hostParameters.length)
    throw new SecretUnclear(
      `The URL in ${where} names ${from.host}, but not only and exactly ${from.host}:${from.port}.`,
      'Make host, port and the parameters host, hostaddr and port name one endpoint.',
    );
  const portText = String(to.port);
  if (isSameHost(authorityHost, from.host)) edits.push({ ...parts.host, text: urlHost(to.host) });
  for (const { span } of namedByParameter) edits.push({ ...span, text: to.host });
  if (to.port !== from.port) {
    const portParameters = parts.parameters.filter(({ name }) => name === 'port');
    for (const { span } of portParameters) edits.push({ ...span, text: portText });
    if (parts.port) edits.push({ ...parts.port, text: portText });
    else if (portParameters.length === 0)
      edits.push({ start: parts.host.end, end: parts.host.end, text: `:${portText}` });
  }
  return edits;
}

// --- JSON objects ---

function scalarsOf(secret: string): JsonScalar[] {
  if (!secret.trim().startsWith('{'))
    throw new SecretUnclear('The secret is neither a postgresql:// URL nor a JSON object.', SHAPES);
  try {
    return jsonScalars(secret);
  } catch {
    throw new SecretUnclear('The secret begins like a JSON object but is not valid JSON.', SHAPES);
  }
}

function topLevel(fields: readonly JsonScalar[], matches: (key: string) => boolean): JsonScalar | undefined {
  return fields.find(({ path }) => path.length === 1 && matches(path[0] ?? ''));
}

function loginOfFields(fields: readonly JsonScalar[]): Login | undefined {
  const text = (...names: string[]): string | undefined => {
    const value = topLevel(fields, (key) => names.includes(key))?.value;
    return value === undefined || value === null ? undefined : String(value);
  };
  const host = text('host');
  const user = text('username', 'user');
  const password = text('password');
  if (host === undefined || user === undefined || password === undefined) return undefined;
  if (host.includes(','))
    throw new SecretUnclear('Field "host" names more than one host.', 'Name the one live instance.');
  return {
    host: bareHost(host),
    port: Number(text('port') ?? DEFAULT_PORT),
    user,
    password,
    // RDS makes `postgres` where no other database was asked for.
    database: text('dbname', 'database', 'dbName') ?? 'postgres',
  };
}

/** Fields whose value may look like anything and is never an endpoint. */
const CREDENTIAL_FIELD = /pass|pwd|secret|token|user/i;

function moveInFields(secret: string, from: Endpoint, to: Endpoint): string | undefined {
  const fields = scalarsOf(secret);
  const edits: Edit[] = [];
  let named = false;
  for (const field of fields) {
    const { path, value, start, end } = field;
    const key = path.at(-1) ?? '';
    const where = `field "${path.join('.')}"`;
    if (typeof value !== 'string' || CREDENTIAL_FIELD.test(key)) continue;
    if (/^\s*(?:jdbc:)?[a-z][a-z0-9+.-]*:\/\//i.test(value)) {
      const inUrl =
        foreignUrl(value) && !mentions(value, from.host) ? undefined : urlEdits(value, from, to, where);
      if (!inUrl) continue;
      named = true;
      edits.push(...inUrl.map((edit) => inJson(field, edit)));
    } else if (isSameHost(value.trim(), from.host)) {
      named = true;
      edits.push({ start, end, text: JSON.stringify(to.host) });
      edits.push(...portEdits(fields, field, from, to));
    } else if (value.trim().toLowerCase() === `${from.host}:${from.port}`.toLowerCase()) {
      named = true;
      edits.push({ start, end, text: JSON.stringify(`${to.host}:${to.port}`) });
    } else if (from.instanceId !== undefined && to.instanceId !== undefined && isIdField(key)) {
      if (value.toLowerCase() === from.instanceId.toLowerCase())
        edits.push({ start, end, text: JSON.stringify(to.instanceId) });
    } else if (isHostList(value, from.host) || isKeywordString(value, from.host)) {
      throw new SecretUnclear(
        `The value of ${where} names ${from.host} in a form that cannot be moved with certainty.`,
        SHAPES,
      );
    }
  }
  return named ? splice(secret, edits) : undefined;
}

/** The port that belongs to a host field: `port` beside `host`, `DB_PORT` beside `DB_HOST`. */
function portEdits(fields: readonly JsonScalar[], host: JsonScalar, from: Endpoint, to: Endpoint): Edit[] {
  const parent = host.path.slice(0, -1);
  const key = host.path.at(-1) ?? '';
  const portKey = key.replace(/(host(_?name)?|endpoint|address|server)$/i, 'port').toLowerCase();
  const port = fields.find(
    ({ path }) =>
      path.length === host.path.length &&
      parent.every((step, index) => path[index] === step) &&
      path.at(-1)?.toLowerCase() === portKey,
  );
  const written =
    port === undefined || port.value === null || port.value === '' ? DEFAULT_PORT : Number(port.value);
  if (written !== from.port)
    throw new SecretUnclear(
      `The secret names ${from.host} with port ${written}, but the instance listens on ${from.port}.`,
      'Make the port fields say the port of the instance.',
    );
  if (to.port === from.port) return [];
  if (!port)
    throw new SecretUnclear(
      `The secret names ${from.host} without a port, and the new instance listens on ${to.port}.`,
      'Add a "port" field.',
    );
  const text = typeof port.value === 'number' ? String(to.port) : JSON.stringify(String(to.port));
  return [{ start: port.start, end: port.end, text }];
}

function isIdField(key: string): boolean {
  return /^db_?(instance|cluster)_?identifier$/i.test(key);
}

function foreignUrl(value: string): boolean {
  return !/^\s*(jdbc:)?postgres(ql)?:/i.test(value);
}

function mentions(value: string, host: string): boolean {
  return value.toLowerCase().includes(host.toLowerCase());
}

function isHostList(value: string, host: string): boolean {
  const hosts = value.split(',').map((one) => one.trim().replace(/:\d+$/, ''));
  return hosts.length > 1 && hosts.some((one) => isSameHost(one, host));
}

/** libpq's `host=… port=…`. */
function isKeywordString(value: string, host: string): boolean {
  const match = /\bhost(?:addr)?\s*=\s*'?([^\s',]+)/i.exec(value);
  return match !== null && isSameHost(match[1] ?? '', host);
}

/** An edit of a decoded string value, as an edit of the JSON text around it. */
function inJson(field: JsonScalar, { start, end, text }: Edit): Edit {
  return {
    start: field.units[start] ?? field.start,
    end: field.units[end] ?? field.end,
    text: JSON.stringify(text).slice(1, -1),
  };
}

// --- Both ---

function splice(text: string, edits: readonly Edit[]): string {
  return [...edits]
    .sort((a, b) => b.start - a.start)
    .reduce((result, { start, end, text: by }) => result.slice(0, start) + by + result.slice(end), text);
}

/** Without the brackets of an IPv6 address and without percent-encoding. */
function bareHost(host: string): string {
  return decode(host).replace(/^\[(.*)\]$/, '$1');
}

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Percent-decoding that leaves alone what is not percent-encoded UTF-8, as odd passwords are. */
function decode(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded);
    } catch {
      return encoded;
    }
  });
}
