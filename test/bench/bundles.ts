import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildSync, type BuildOptions, type Metafile } from 'esbuild';
import { BUNDLING } from '../../lib/function-code';
import type { Measurement } from './measurement';

const ROOT = join(__dirname, '..', '..');
/** Start-ups per bundle; their median counts. */
const STARTS = 9;

/**
 * Size and start-up time of every function's bundle, beside a bundle that does nothing but import the same SDK clients,
 * the same commands and pg.
 */
export function measureBundles(): Measurement[] {
  const directory = mkdtempSync(join(tmpdir(), 'bench-bundles-'));
  try {
    return handlers().flatMap((name) => {
      const bundle = build({ entryPoints: [join('lambdas', `${name}.ts`)] }, join(directory, `${name}.js`));
      const floor = build(
        { stdin: { contents: floorSource(bundle.metafile), resolveDir: ROOT, loader: 'ts' } },
        join(directory, `${name}.floor.js`),
      );
      const [start, floorStart] = medianStarts(bundle.file, floor.file);
      return [
        {
          name: `bundle of ${name}`,
          unit: 'KiB',
          measured: bundle.bytes / 1024,
          floor: floor.bytes / 1024,
          limit: 1.3,
        },
        { name: `start-up of ${name}`, unit: 'ms', measured: start, floor: floorStart, limit: 1.3 },
      ];
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function handlers(): string[] {
  return readdirSync(join(ROOT, 'lambdas'))
    .filter(
      (file) =>
        file.endsWith('.ts') &&
        readFileSync(join(ROOT, 'lambdas', file), 'utf8').includes('export const handler'),
    )
    .map((file) => file.slice(0, -'.ts'.length));
}

function build(entry: BuildOptions, file: string): { file: string; bytes: number; metafile: Metafile } {
  const { metafile } = buildSync({
    ...BUNDLING,
    ...entry,
    absWorkingDir: ROOT,
    outfile: file,
    metafile: true,
  });
  return { file, bytes: readFileSync(file).length, metafile };
}

/** Imports what the project's own files in the bundle import of the SDK and of pg, and keeps it from being shaken away. */
function floorSource(metafile: Metafile): string {
  const imported = new Map<string, Set<string>>();
  for (const file of Object.keys(metafile.inputs).filter((input) => input.startsWith('lambdas/'))) {
    const source = readFileSync(join(ROOT, file), 'utf8');
    for (const [, names = '', from = ''] of source.matchAll(
      /import \{([^}]*)\} from '(@aws-sdk\/client-[a-z-]+|pg)'/g,
    )) {
      const values = names
        .split(',')
        .map((name) => name.trim())
        .filter((name) => name !== '' && !name.startsWith('type '));
      imported.set(from, new Set([...(imported.get(from) ?? []), ...values]));
    }
  }
  const used = [...imported].filter(([, names]) => names.size > 0);
  const lines = used.map(([from, names]) => `import { ${[...names].join(', ')} } from '${from}';`);
  return `${lines.join('\n')}\nexport const handler = () => [${used.flatMap(([, names]) => [...names]).join(', ')}];\n`;
}

/** Medians in milliseconds; the two take turns, so that a drifting machine does not favour one. */
function medianStarts(a: string, b: string): [number, number] {
  const times: [number[], number[]] = [[], []];
  for (let run = 0; run <= STARTS; run++)
    [a, b].forEach((file, index) => {
      const script = `const t = process.hrtime.bigint(); require(${JSON.stringify(file)}); console.log(Number(process.hrtime.bigint() - t) / 1e6)`;
      const time = Number(
        execFileSync(process.execPath, ['-e', script], {
          env: { AWS_REGION: 'eu-central-1', ENVIRONMENT: 'production', SNAPSHOT_RETENTION_DAYS: '90' },
        }),
      );
      // The first run only warms the file cache.
      if (run > 0) times[index]?.push(time);
    });
  return [median(times[0]), median(times[1])];
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
