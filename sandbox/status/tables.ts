import Table from 'cli-table3';
import colors from 'picocolors';
import type { Status } from './status';

/** The status as tables for a terminal. */
export function statusTables({ instances, snapshots, secrets, executions }: Status): string {
  return [
    table(
      'Instances',
      ['Instance', 'Status', 'Role', 'Endpoint', 'Live'],
      instances.map(({ id, status, role, address, live }) => [id, status, role, address, live ? 'live' : '']),
    ),
    table(
      'Snapshots',
      ['Snapshot', 'Type', 'Status', 'Created', 'Restore point'],
      snapshots.map(({ id, type, status, progressPercent, createdAt, ...point }) => [
        id,
        type,
        status === 'creating' ? `creating, ${progressPercent} %` : status,
        time(createdAt),
        restorePoint(point),
      ]),
    ),
    table(
      'DATABASE_URL',
      ['Secret', 'Names', 'Endpoint'],
      secrets.map(({ name, instanceId, address }) => [
        name,
        instanceId ?? colors.red('no instance of RDS'),
        address,
      ]),
    ),
    table(
      'Executions',
      ['Machine', 'Execution', 'Status', 'State', 'Started'],
      executions.map(({ machine, name, status, states, startedAt }) => [
        machine,
        name,
        status,
        states.join('\n'),
        time(startedAt),
      ]),
    ),
  ].join('\n');
}

function restorePoint({
  role,
  instanceId,
  commit,
  expiresAt,
  migrations,
}: Pick<Status['snapshots'][number], 'role' | 'instanceId' | 'commit' | 'expiresAt' | 'migrations'>): string {
  return [
    role ?? `of ${instanceId}`,
    ...(commit === undefined ? [] : [`commit ${commit.slice(0, 12)}`]),
    ...migrations.slice(-1).map((newest) => `before ${newest}`),
    ...(expiresAt === undefined ? [] : [`until ${time(expiresAt)}`]),
  ].join('\n');
}

function time(iso: string | undefined): string {
  return iso === undefined ? '' : `${iso.slice(0, 19).replace('T', ' ')} UTC`;
}

function table(title: string, head: string[], rows: readonly (readonly (string | undefined)[])[]): string {
  if (rows.length === 0) return `${colors.bold(title)}\n  none\n`;
  const drawn = new Table({
    head: head.map((text) => colors.dim(text)),
    style: { head: [], border: [] },
  });
  drawn.push(...rows.map((row) => row.map((cell) => cell ?? '')));
  return `${colors.bold(title)}\n${drawn.toString()}\n`;
}
