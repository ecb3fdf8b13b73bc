import { LogicalReplication } from './contract/replication';
import type { Connection } from './postgres';

/**
 * Of all databases of the server; any role may ask. `subconninfo` is not read: it has a password in it.
 */
export async function readLogicalReplication(connection: Connection): Promise<LogicalReplication> {
  const [found] = await connection.query(
    `select coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('name', slot_name, 'plugin', plugin) order by slot_name)
                        from pg_catalog.pg_replication_slots where slot_type = 'logical' and not temporary), '[]') as slots,
            coalesce((select pg_catalog.json_agg(pg_catalog.format('%I in %I', s.subname, d.datname) order by s.subname, d.datname)
                        from pg_catalog.pg_subscription s join pg_catalog.pg_database d on d.oid = s.subdbid
                       where s.subenabled), '[]') as subscriptions`,
  );
  return LogicalReplication.parse(found);
}

/** `debezium (pgoutput)` */
export function slotNames(slots: LogicalReplication['slots']): string[] {
  return slots.map(({ name, plugin }) => `${name} (${plugin})`);
}
