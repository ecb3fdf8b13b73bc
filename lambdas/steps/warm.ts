import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { InstanceAddress, Recovery } from '../contract/recovery';
import type { WarmResult } from '../contract/restore';
import { readLogin } from '../database-url';
import { NotWarmInTime } from '../errors';
import { withConnection } from '../postgres';
import { blockReader, relationsNamed } from '../prewarm';
import { currentSecret } from '../secrets';

/** 16 MiB at a time: from storage that is still being loaded that takes seconds. */
const SLICE_BLOCKS = 2048;
/** One call; the machine calls again until it is warm enough. */
const CALL_MS = 100_000;
/** Together with CALL_MS some six hours. */
const MOST_CALLS = 200;

/**
 * Reads the blocks of the chosen tables and indexes on the recovery instance, so that the application does not wait for each of
 * them to be loaded from the backup. Reads on from where the call before it stopped, for a while. What cannot be read
 * is named and left out: it is no reason to give a recovery up. Throws NotWarmInTime, DatabaseUnreachable.
 */
export async function warm(
  {
    recovery,
    instance,
    warmth,
  }: { recovery: Recovery; instance: InstanceAddress; warmth: WarmResult | null },
  deps: { secrets: SecretsManagerClient; databaseUrlSecretId: string; callMs?: number },
): Promise<WarmResult> {
  const { tables, percent: wanted } = recovery.warm ?? { tables: [], percent: 100 };
  const calls = (warmth?.calls ?? 0) + 1;
  if (calls > MOST_CALLS)
    throw new NotWarmInTime(
      `After ${MOST_CALLS} calls ${warmth?.percent ?? 0} % of the chosen tables of ${instance.instanceId} were read, asked for were ${wanted} %.`,
      'Start again with fewer tables or a lower percentage, or without "warm".',
    );
  const login = readLogin((await currentSecret(deps.secrets, deps.databaseUrlSecretId)).value);
  const until = Date.now() + (deps.callMs ?? CALL_MS);
  return withConnection({ ...login, host: instance.host, port: instance.port }, async (connection) => {
    await connection.query('set default_transaction_read_only = on');
    const named = await relationsNamed(connection, tables);
    const reader = await blockReader(connection);
    const relations = named.relations.filter((relation) => reader.canRead(relation));
    let { relation: position, block } = warmth?.next ?? { relation: 0, block: 0 };
    const refused = new Map((warmth?.next.refused ?? []).map((at) => [at, '']));
    const progress = (): { read: number; percent: number } => {
      let read = 0;
      let all = 0;
      for (const [at, { blocks }] of relations.entries()) {
        if (refused.has(at)) continue;
        all += blocks;
        if (at < position) read += blocks;
        else if (at === position) read += block;
      }
      return { read, percent: all === 0 ? 100 : Math.floor((100 * read) / all) };
    };
    // Every call reads something, however late it is.
    for (let isFirst = true; isFirst || Date.now() < until; isFirst = false) {
      if (progress().percent >= wanted) break;
      const relation = relations[position];
      if (!relation) break;
      const last = Math.min(block + SLICE_BLOCKS, relation.blocks) - 1;
      const refusal = last < block ? undefined : await reader.read(relation, block, last);
      if (refusal !== undefined) refused.set(position, `${relation.name}: ${refusal}`);
      const isDone = refusal !== undefined || last + 1 >= relation.blocks;
      block = isDone ? 0 : last + 1;
      if (isDone) position++;
    }
    const { read, percent } = progress();
    return {
      percent,
      enough: percent >= wanted || position >= relations.length,
      blocksRead: read,
      method: reader.method,
      leftOut: [
        ...leftOut(named.unknown, named.relations.length - relations.length),
        ...(warmth?.leftOut ?? []).filter((sentence) => sentence.startsWith(REFUSED)),
        ...[...refused.values()]
          .filter((sentence) => sentence !== '')
          .map((sentence) => `${REFUSED}${sentence}`),
      ].slice(0, MOST_LEFT_OUT),
      calls,
      next: { relation: position, block, refused: [...refused.keys()] },
    };
  });
}

const REFUSED = 'Refused: ';
/** A state has no room for more. */
const MOST_LEFT_OUT = 50;

function leftOut(unknown: readonly string[], unreadable: number): string[] {
  return [
    ...unknown.map((name) => `${name}: there is no such table or index in the restored database.`),
    ...(unreadable > 0
      ? [`${unreadable} indexes and stores of long values: only the extension pg_prewarm reads them.`]
      : []),
  ];
}
