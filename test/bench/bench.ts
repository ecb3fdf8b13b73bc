import Table from 'cli-table3';
import { measureBundles } from './bundles';
import { measureDrill } from './drill';
import { measureGate } from './gate';
import type { Measurement } from './measurement';
import { measureRecoveries } from './recoveries';
import { measureSandbox } from './sandbox';

/** `npm run bench`: what was measured, beside a floor measured in the same run. Prints; judges nothing. */
async function bench(): Promise<void> {
  const table = new Table({ head: ['what', 'measured', 'floor', 'ratio', 'at most'], style: { head: [] } });
  const measures = chosen();
  if (!measures) return;
  for (const measure of measures) {
    process.stderr.write(`${measure.name} …\n`);
    for (const measurement of await measure()) table.push(row(measurement));
  }
  process.stdout.write(`${table.toString()}\n`);
}

/** Units of which there are no halves. */
const COUNTED: readonly Measurement['unit'][] = ['calls', 'snapshots', 'answers', 'transitions'];

const MEASURES = {
  bundles: measureBundles,
  sandbox: measureSandbox,
  gate: measureGate,
  drill: measureDrill,
  recoveries: measureRecoveries,
} as const;

/** `npm run bench -- recoveries`: only that; all of them where none is named. Undefined for a name that is none. */
function chosen(): readonly (() => Measurement[] | Promise<Measurement[]>)[] | undefined {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !(name in MEASURES));
  if (unknown.length > 0) {
    const help = unknown.includes('--help') || unknown.includes('-h');
    if (!help) process.exitCode = 1;
    process.stderr.write(
      `${help ? '' : `There is no ${unknown.join(', ')}.\n`}Usage: npm run bench -- [${Object.keys(MEASURES).join('] [')}]\n`,
    );
    return undefined;
  }
  return Object.entries(MEASURES).flatMap(([name, measure]) =>
    names.length === 0 || names.includes(name) ? [measure] : [],
  );
}

function row({ name, unit, measured, floor, limit }: Measurement): string[] {
  const show = (value: number): string => `${value.toFixed(COUNTED.includes(unit) ? 0 : 1)} ${unit}`;
  return floor === undefined
    ? [name, show(measured), '', '', show(limit)]
    : [name, show(measured), show(floor), (measured / floor).toFixed(2), limit.toFixed(2)];
}

void bench();
