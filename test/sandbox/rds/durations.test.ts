import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DURATION_PROFILES, durationProfile, Durations, durations } from '../../../sandbox/rds/durations';

const directory = mkdtempSync(join(tmpdir(), 'durations-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function file(content: string): string {
  const path = join(directory, 'durations.json');
  writeFileSync(path, content);
  return path;
}

it('are the same for the same seed, others for another, and go on where they were', () => {
  const draw = (drawn: Durations): number[] => Array.from({ length: 5 }, () => drawn.draw('restoreSnapshot'));
  expect(draw(durations('aws', 7))).toEqual(draw(durations('aws', 7)));
  expect(draw(durations('aws', 7))).not.toEqual(draw(durations('aws', 8)));
  expect(Math.min(...draw(durations('aws', 7)))).toBeGreaterThan(9 * 60_000);
  const first = durations('aws', 7);
  const rest = draw(first).slice(2);
  const later = durations('aws', 8);
  const again = durations('aws', 7);
  again.draw('snapshot');
  again.draw('snapshot');
  later.position = again.position;
  expect(draw(later).slice(0, 3)).toEqual(rest);
});

it('come from a file, and what it leaves out is as on AWS', async () => {
  const profile = await durationProfile(
    file('{"seed": 7, "operations": {"snapshot": {"seconds": 100, "spread": 0.5}, "stop": {"seconds": 3}}}'),
  );
  expect(profile).toEqual({
    seed: 7,
    walUploadInterval: 300,
    operations: {
      ...DURATION_PROFILES.aws.operations,
      snapshot: { seconds: 100, spread: 0.5 },
      stop: { seconds: 3, spread: 0 },
    },
  });
  const drawn = Array.from({ length: 100 }, (_, index) => index).map(
    () => new Durations(profile, Math.random() * 1e6).draw('snapshot') / 1000,
  );
  expect(Math.min(...drawn)).toBeGreaterThanOrEqual(50);
  expect(Math.max(...drawn)).toBeLessThanOrEqual(150);
  expect(new Durations(profile).draw('stop')).toBe(3000);
});

it.each([
  ['no JSON', '{', /not a profile[^]*JSON/],
  [
    'an operation that RDS has not',
    '{"operations": {"snapshots": {"seconds": 1}}}',
    /snapshots[^]*operations/,
  ],
  ['a negative time', '{"operations": {"snapshot": {"seconds": -1}}}', /operations\.snapshot\.seconds/],
  ['a spread beyond all', '{"operations": {"snapshot": {"seconds": 1, "spread": 2}}}', /snapshot\.spread/],
  ['minutes', '{"operations": {"snapshot": {"minutes": 1}}}', /minutes/],
])('are refused with the place in the file: %s', async (_what, content, message) => {
  await expect(durationProfile(file(content))).rejects.toMatchObject({
    name: 'DurationsUnreadable',
    message: expect.stringMatching(message) as string,
  });
});

it('are refused when there is no file', async () => {
  await expect(durationProfile(join(directory, 'none.json'))).rejects.toThrow(/none\.json[^]*ENOENT/);
});
