import Table from 'cli-table3';
import { measureBundles } from './bundles';
import { measureDrill } from './drill';
import { measureGate } from './gate';
import type { Measurement } from './measurement';
import { measureSandbox } from './sandbox';

/** `npm run bench`: what was measured, beside a floor measured in the same run. Prints; judges nothing. */
async function bench(): Promise<void> {
  const table = new Table({ head: ['what', 'measured', 'floor', 'ratio', 'at most'], style: { head: [] } });
  for (const measure of [measureBundles, measureSandbox, measureGate, measureDrill]) {
    process.stderr.write(`${measure.name} …\n`);
    for (const measurement of await measure()) table.push(row(measurement));
  }
  process.stdout.write(`${table.toString()}\n`);
}

/** Units of which there are no halves. */
const COUNTED: readonly Measurement['unit'][] = ['calls', 'snapshots', 'answers'];

function row({ name, unit, measured, floor, limit }: Measurement): string[] {
  const show = (value: number): string => `${value.toFixed(COUNTED.includes(unit) ? 0 : 1)} ${unit}`;
  return floor === undefined
    ? [name, show(measured), '', '', show(limit)]
    : [name, show(measured), show(floor), (measured / floor).toFixed(2), limit.toFixed(2)];
}

void bench();
