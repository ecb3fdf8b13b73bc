import { readFileSync, readdirSync } from 'node:fs';

/** KiB of a process and all its descendants; memory that they share is counted once (Pss). Linux only. */
export function memoryOfTree(root: number): number {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = read(`/proc/${entry}/stat`);
    parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
  }
  const inTree = (pid: number): boolean =>
    pid === root || (parents.has(pid) && pid !== 1 && inTree(parents.get(pid) ?? 1));
  let sum = 0;
  for (const pid of parents.keys())
    if (inTree(pid)) sum += Number(/^Pss:\s+(\d+) kB/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
  return sum;
}

/** A process may end while we look at it. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
