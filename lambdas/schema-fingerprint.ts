import { createHash } from 'node:crypto';
import * as z from 'zod/mini';
import type { Connection } from './postgres';

/**
 * One line per object of the database, in PostgreSQL's own words. What belongs to an extension is said by the extension's
 * version; schemas of PostgreSQL itself are left out.
 */
const OBJECTS = `
with own_schema as (
  select oid, nspname from pg_catalog.pg_namespace
   where nspname not like 'pg\\_%' and nspname <> 'information_schema'
), of_extension as (
  select classid, objid from pg_catalog.pg_depend where deptype = 'e'
), own_relation as (
  select c.*, quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name
    from pg_catalog.pg_class c join own_schema n on n.oid = c.relnamespace
   where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
     and not exists (select from of_extension e where e.classid = 'pg_catalog.pg_class'::regclass and e.objid = c.oid)
)
select concat_ws(' ', 'schema', nspname) as line from own_schema
union all
select concat_ws(' ', 'extension', extname, extversion) from pg_catalog.pg_extension
union all
select concat_ws(' ', 'relation', name, relkind, relpersistence, relrowsecurity) from own_relation
union all
select concat_ws(' ', 'column', r.name, quote_ident(a.attname), pg_catalog.format_type(a.atttypid, a.atttypmod),
                 a.attnotnull, a.attidentity, a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid), l.collname)
  from own_relation r join pg_catalog.pg_attribute a on a.attrelid = r.oid
  left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  left join pg_catalog.pg_collation l on l.oid = a.attcollation
 where a.attnum > 0 and not a.attisdropped
union all
select concat_ws(' ', 'constraint', r.name, quote_ident(c.conname), pg_catalog.pg_get_constraintdef(c.oid))
  from own_relation r join pg_catalog.pg_constraint c on c.conrelid = r.oid
union all
select concat_ws(' ', 'index', pg_catalog.pg_get_indexdef(i.indexrelid), i.indisvalid)
  from own_relation r join pg_catalog.pg_index i on i.indrelid = r.oid
union all
select concat_ws(' ', 'view', name, pg_catalog.pg_get_viewdef(oid)) from own_relation where relkind in ('v', 'm')
union all
select concat_ws(' ', 'sequence', r.name, pg_catalog.format_type(s.seqtypid, null), s.seqincrement, s.seqcycle)
  from own_relation r join pg_catalog.pg_sequence s on s.seqrelid = r.oid
union all
select concat_ws(' ', 'trigger', pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled)
  from own_relation r join pg_catalog.pg_trigger t on t.tgrelid = r.oid where not t.tgisinternal
union all
select concat_ws(' ', 'policy', r.name, quote_ident(p.polname), p.polcmd, p.polpermissive,
                 pg_catalog.pg_get_expr(p.polqual, p.polrelid), '/', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid))
  from own_relation r join pg_catalog.pg_policy p on p.polrelid = r.oid
union all
select concat_ws(' ', 'function', n.nspname, p.prokind,
                 case when p.prokind = 'a' then concat(p.proname, '(', pg_catalog.pg_get_function_identity_arguments(p.oid), ')')
                      else pg_catalog.pg_get_functiondef(p.oid) end)
  from pg_catalog.pg_proc p join own_schema n on n.oid = p.pronamespace
 where not exists (select from of_extension e where e.classid = 'pg_catalog.pg_proc'::regclass and e.objid = p.oid)
union all
select concat_ws(' ', 'enum', pg_catalog.format_type(t.oid, null),
                 (select string_agg(quote_literal(e.enumlabel), ',' order by e.enumsortorder)
                    from pg_catalog.pg_enum e where e.enumtypid = t.oid))
  from pg_catalog.pg_type t join own_schema n on n.oid = t.typnamespace
 where t.typtype = 'e'
union all
select concat_ws(' ', 'domain', pg_catalog.format_type(t.oid, null), pg_catalog.format_type(t.typbasetype, t.typtypmod),
                 t.typnotnull, t.typdefault,
                 (select string_agg(pg_catalog.pg_get_constraintdef(c.oid), ',' order by c.conname)
                    from pg_catalog.pg_constraint c where c.contypid = t.oid))
  from pg_catalog.pg_type t join own_schema n on n.oid = t.typnamespace
 where t.typtype = 'd'`;

/**
 * Two fingerprints can be compared only where this is the same in both: raise it with every change of OBJECTS, so that the
 * older snapshots do not all look wrong.
 */
const FORMAT = 1;
const KIND_DIGITS = 8;

/** Everything that makes up the schema of a database, and none of its data. */
export interface Schema {
  /** Of this query and of the server, whose words the lines are. */
  readonly version: string;
  /** One line per object, sorted; the first word is its kind. */
  readonly lines: readonly string[];
}

/** Tables, columns, types, constraints, indexes, views, functions, triggers, policies, extensions, enum values. */
export async function describeSchema(connection: Connection): Promise<Schema> {
  // With an empty search path PostgreSQL writes every name with its schema, whatever the role's own path is.
  await connection.query(`select pg_catalog.set_config('search_path', '', false)`);
  const [row] = await connection.query(`select pg_catalog.current_setting('server_version_num') as version`);
  const rows = z.array(z.object({ line: z.string() })).parse(await connection.query(OBJECTS));
  return {
    version: `${FORMAT}.${String(row?.version)}`,
    // Sorted here: the order of a server depends on its collation.
    lines: rows.map(({ line }) => line).sort(),
  };
}

/** `<version>.<SHA-256 over all lines>`: the same for a database and its restored copy. */
export function schemaFingerprint({ version, lines }: Schema): string {
  return `${version}.${digest(lines)}`;
}

/** What a fingerprint can be compared with. */
export function fingerprintVersion(fingerprint: string): string {
  return fingerprint.slice(0, Math.max(0, fingerprint.lastIndexOf('.')));
}

/** A short digest of every kind of object, so that a difference can be put down to a kind. */
export function schemaKinds({ lines }: Schema): Record<string, string> {
  const kinds = new Map<string, string[]>();
  for (const line of lines) {
    const own = kinds.get(kindOf(line));
    if (own) own.push(line);
    else kinds.set(kindOf(line), [line]);
  }
  return Object.fromEntries([...kinds].map(([kind, own]) => [kind, digest(own).slice(0, KIND_DIGITS)]));
}

/** `relation`, `column`, …: the first word of a line. */
export function kindOf(line: string): string {
  return line.slice(0, line.indexOf(' '));
}

function digest(lines: readonly string[]): string {
  const hash = createHash('sha256');
  for (const line of lines) hash.update(`${line}\n`);
  return hash.digest('hex');
}
