import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { readCases, runCase, type Verdict } from './run-case';

/** Cases that do not agree, and why. A case that comes to agree has to leave the list. */
const DEVIATIONS = z
  .record(z.string(), z.string())
  .parse(JSON.parse(readFileSync(join(__dirname, 'deviations.json'), 'utf8')));

const ASPECTS = ['status', 'output', 'error', 'cause', 'events'] as const;

describe('executions recorded on the real Step Functions', () => {
  const verdicts = new Map<string, Verdict>();
  const cases = readCases();

  beforeAll(async () => {
    for (const recorded of cases) verdicts.set(recorded.id, (await runCase(recorded)).verdict);
  });

  it('there are all 697 of them', () => {
    expect(verdicts.size).toBe(697);
  });

  it('agree with ours in status, output, error, cause and events, but for the known deviations', () => {
    const lines = ASPECTS.map((aspect) => {
      const compared = cases.filter(({ expected }) => aspect !== 'events' || expected.eventsRecorded);
      const agreeing = compared.filter(({ id }) => verdicts.get(id)?.[aspect] === undefined);
      return `  ${aspect.padEnd(7)} ${agreeing.length} of ${compared.length}`;
    });
    const whole = [...verdicts.values()].filter((verdict) => Object.keys(verdict).length === 0);
    const strict = cases.filter((each) => each.awsMarker === 'validated' && each.awsValidated !== null);
    const strictWhole = strict.filter(({ id }) => Object.keys(verdicts.get(id) ?? {}).length === 0);
    process.stdout.write(
      [
        `Executions recorded on AWS that agree in everything: ${whole.length} of ${verdicts.size}`,
        `  of those provably recorded on AWS: ${strictWhole.length} of ${strict.length}`,
        ...lines,
        '',
      ].join('\n'),
    );
    const differing = [...verdicts].filter(([, verdict]) => Object.keys(verdict).length > 0);
    const unexpected = differing.filter(([id]) => !(id in DEVIATIONS));
    expect(Object.fromEntries(unexpected)).toEqual({});
    const outdated = Object.keys(DEVIATIONS).filter((id) => Object.keys(verdicts.get(id) ?? {}).length === 0);
    expect(outdated).toEqual([]);
  });
});
