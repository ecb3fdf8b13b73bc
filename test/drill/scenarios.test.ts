import { spawn, type ChildProcessByStdio } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { isUp } from '../../lambdas/rds';
import { SCENARIOS } from '../../sandbox/drill/scenarios';
import { DURATION_PROFILES } from '../../sandbox/rds/durations';
import { synthesise } from '../../sandbox/synthesise';
import { checkUsage, mergeUsage, type UsageReport } from '../../sandbox/iam/usage';
import { NEVER_USED } from '../sandbox/iam/never-used';
import { until } from '../until';

const ROOT = join(__dirname, '..', '..');

const Report = z.strictObject({
  scenario: z.string(),
  asExpected: z.boolean(),
  executionStatus: z.string(),
  states: z.array(
    z.strictObject({ name: z.string(), enteredAt: z.iso.datetime(), milliseconds: z.number() }),
  ),
  timings: z.strictObject({
    totalMs: z.number(),
    restoreMs: z.number(),
    cutoverMs: z.number(),
    drillMs: z.number(),
  }),
  instances: z.array(z.strictObject({ id: z.string(), role: z.string(), status: z.string() })),
  secret: z.strictObject({
    instanceId: z.string(),
    host: z.string(),
    port: z.number(),
    versionId: z.string(),
  }),
  checks: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), detail: z.string() })),
  data: z.strictObject({
    rowsBefore: z.number(),
    rowsAfter: z.number(),
    digestBefore: z.string(),
    digestAfter: z.string(),
  }),
});

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Temporary files of the drills that are run here, and of nobody else. */
const temporary = mkdtempSync(join(tmpdir(), 'drill-test-'));
// PostgreSQL runs as another user when this runs as root.
chmodSync(temporary, 0o755);
afterAll(() => {
  rmSync(temporary, { recursive: true, force: true });
});

/** A directory for the temporary files of one drill. What tsx has compiled they share. */
function ownTemporary(): string {
  const own = mkdtempSync(join(temporary, 'own-'));
  chmodSync(own, 0o755);
  symlinkSync(tsxCache, join(own, basename(tsxCache)));
  return own;
}
const tsxCache = join(temporary, `tsx-${userInfo().uid}`);
mkdirSync(tsxCache);

function start(
  args: readonly string[],
  own = ownTemporary(),
  variables: NodeJS.ProcessEnv = {},
): ChildProcessByStdio<null, Readable, Readable> {
  return spawn(process.execPath, ['--import', 'tsx', 'sandbox/drill/main.ts', ...args], {
    cwd: ROOT,
    env: { ...process.env, TMPDIR: own, ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Runs the drill as a person does, in a process of its own. */
async function drill(
  args: readonly string[],
  own = ownTemporary(),
  variables: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const child = start(args, own, variables);
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, stdout, stderr };
}

/** What is left of a drill's sandbox: its directory, and the processes that work in it. */
function leftovers(own: string): string[] {
  const directories = readdirSync(own).filter((name) => name.startsWith('migration-rollback-'));
  const processes = existsSync('/proc')
    ? readdirSync('/proc')
        .filter((pid) => /^\d+$/.test(pid))
        .map(commandOf)
    : [];
  return [...directories, ...processes.filter((command) => command.includes(`${own}/`))];
}

/** Where a process works, and its command. It may end while we look. */
function commandOf(pid: string): string {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return `${readlinkSync(`/proc/${pid}/cwd`)}/ ${command}`;
  } catch {
    return '';
  }
}

const namesOf = (report: z.infer<typeof Report>): string[] => report.states.map(({ name }) => name);

const BEGIN = ['Plan', 'PlanOnly?', 'StartRestore', 'TakeSafetySnapshot', 'TellPeople?'];
const MATCHED = ['MatchSettings', 'MatchCredentials', 'CutOverNow?'];
const RESTORED = ['CheckRestoredInstance', 'RecordPosition', ...MATCHED, 'IsItAnUndo?', 'Verify'];
const VERIFY = [...BEGIN, 'NotifyStarted', ...RESTORED];
const FORWARD = [...VERIFY, 'IsItADrill?'];

const CUTOVER = [
  'Warm?',
  'ApproveCutover?',
  'Fence',
  'Swap',
  'Prove',
  'RestartConsumers',
  'NotifyCutover',
  'ProveConsumers',
  'IsItARename?',
  'FinishSettings',
  'Drain',
  'Soak?',
  'ApproveRetirement?',
];
const LOOK = ['LookAtAlarms', 'Soak', 'SoakedEnough?'];
const END = ['Retire', 'NotifyRecovered', 'Recovered'];
/** After the answer it is looked once more that nobody is connected. */
const APPROVED = ['AskForRetirement', 'Drain', 'Soak?', 'ApproveRetirement?'];
const RETIREMENT = [...APPROVED, ...END];

/**
 * What takes RDS minutes takes a quarter of them: the machine asks a third as often whether it is done, and asking is most of what
 * a recovery costs here. What a scenario says in minutes stays: a rename, and by how much LatestRestorableTime trails.
 */
function quarterOfTheWaiting(): string {
  const { rename, ...others } = DURATION_PROFILES.aws.operations;
  const quartered = Object.entries(others).map(
    ([kind, { seconds, spread }]) =>
      [kind, { seconds: seconds >= 60 ? seconds / 4 : seconds, spread }] as const,
  );
  const file = join(temporary, 'durations.json');
  writeFileSync(file, JSON.stringify({ operations: { rename, ...Object.fromEntries(quartered) } }));
  return file;
}

/** The states that each scenario runs through, in order. */
const WAYS: Record<string, readonly string[]> = {
  'bad-migration': [...FORWARD, ...CUTOVER, ...RETIREMENT],
  'point-in-time': [...FORWARD, ...CUTOVER, ...RETIREMENT],
  'before-migration': [...FORWARD, ...CUTOVER, ...RETIREMENT],
  'live-gone': [...FORWARD, ...CUTOVER, ...END],
  consumers: [...FORWARD, ...CUTOVER, ...RETIREMENT],
  'copy-elsewhere': [...FORWARD, ...CUTOVER, ...END],
  'copy-to-account': [...FORWARD, ...CUTOVER, ...END],
  'failed-verification': [...VERIFY, 'WasItTakenBack?', 'Discard', 'NotifyFailed', 'RecoveryFailed'],
  'swap-proof-fails': [
    ...FORWARD,
    'Warm?',
    'ApproveCutover?',
    'Fence',
    'Swap',
    'Prove',
    'IsThereAWayBack?',
    'SwapBack',
    'LiftFence',
    'WasItSwapped?',
    'NotifySwappedBack',
    'SwappedBack',
  ],
  'first-backup': [...FORWARD, ...CUTOVER, ...END],
  'not-as-recorded': [...VERIFY, 'WasItTakenBack?', 'Discard', 'NotifyFailed', 'RecoveryFailed'],
  'verified-and-warm': [
    ...FORWARD,
    'Warm?',
    'Warm',
    'WarmEnough?',
    'Hydrate',
    'ApproveCutover?',
    ...MATCHED,
    ...CUTOVER.slice(2),
    ...RETIREMENT,
  ],
  'rotated-passwords': [...FORWARD, ...CUTOVER, ...RETIREMENT],
  'one-writer': [...FORWARD, ...CUTOVER, ...END],
  redrive: [
    ...[...FORWARD, ...CUTOVER, ...APPROVED, 'Retire', 'NotifyOldInstanceKept', 'OldInstanceKept'],
    // Neither the look nor the yes of before counts.
    ...['GoOnWith?', 'Retire', 'DrainAgain?', 'Drain', 'Soak?', 'ApproveRetirement?', ...RETIREMENT],
  ],
  rejected: [
    ...[
      ...FORWARD,
      'Warm?',
      'ApproveCutover?',
      'AskForCutover',
      'NotifyCutoverNotApproved',
      'CutoverNotApproved',
    ],
    ...[
      'AskForCutover',
      ...MATCHED,
      ...CUTOVER.slice(2),
      'AskForRetirement',
      'NotifyOldInstanceKept',
      'OldInstanceKept',
    ],
    ...['GoOnWith?', ...RETIREMENT],
  ],
  adopt: [...FORWARD, ...CUTOVER, ...RETIREMENT],
  undo: [
    ...['Plan', 'PlanOnly?', 'TakeBack', 'TakeSafetySnapshot', 'TellPeople?', 'NotifyStarted'],
    ...['CheckRestoredInstance', 'RecordPosition', ...MATCHED, 'IsItAnUndo?', ...CUTOVER.slice(1), ...END],
  ],
  soak: [
    ...[...FORWARD, ...CUTOVER.slice(0, -1)],
    ...[...LOOK, 'NextLook', 'Soak?', ...LOOK, 'NextLook', 'Soak?', ...LOOK],
    ...RETIREMENT,
  ],
  'drill-mode': [...BEGIN, ...RESTORED, 'IsItADrill?', 'EndDrill', 'Drilled'],
  'clean-up': [...FORWARD, ...CUTOVER, ...RETIREMENT],
  rename: [
    ...['Plan', 'PlanOnly?', 'RenameBegun?', 'AskForRename', 'NotifyOutage', 'Rename'],
    ...['Swap', 'Prove', 'RestartConsumers', 'NotifyCutover', 'ProveConsumers', 'IsItARename?'],
    ...['FinishRename', 'NotifyRenamed', 'Renamed'],
  ],
};

const Permission = z.object({
  role: z.string(),
  policy: z.string(),
  statement: z.number(),
  sid: z.string().optional(),
  action: z.string(),
  resource: z.string(),
});
const Usage = z.object({
  granted: z.array(Permission),
  used: z.array(z.string()).transform((used) => new Set(used)),
});

describe('npm run drill', () => {
  const usage: UsageReport[] = [];
  // All of them rehearse with the same ones.
  const app = join(temporary, 'app');
  const durations = quarterOfTheWaiting();
  beforeAll(() => synthesise(app, ['production']));

  // Two at a time (`maxConcurrency`): while one waits for a function to start, the other goes on.
  test.concurrent.each(SCENARIOS.map(({ name }) => name))(
    '%s ends as it should, by the states it should, and says so in one JSON document',
    async (name) => {
      const own = ownTemporary();
      const permissions = join(own, 'permissions.json');
      const { code, stdout, stderr } = await drill(
        [
          ...['--scenario', name, '--rows', '1000', '--json'],
          ...['--app', app, '--permissions', permissions],
          // The hour after which the vault's schedule is due has to pass.
          ...(name === 'copy-to-account' ? [] : ['--durations', durations]),
        ],
        own,
      );
      const report = Report.parse(JSON.parse(stdout));
      const failed = report.checks.filter(({ ok }) => !ok);
      expect({ code, failed, stderr: failed.length > 0 ? stderr : '' }).toEqual({
        code: 0,
        failed: [],
        stderr: '',
      });
      expect(report.scenario).toBe(name);
      expect(report.asExpected).toBe(true);
      expect(namesOf(report)).toEqual(WAYS[name]);
      const live = report.instances.filter(({ role }) => role === 'live');
      expect(live.map(({ id, status }) => ({ id, isUp: isUp(status) }))).toEqual([
        { id: report.secret.instanceId, isUp: true },
      ]);
      expect(report.data.rowsBefore).toBe(1000);
      const recovered = report.executionStatus === 'SUCCEEDED';
      expect(report.data.digestAfter === report.data.digestBefore).toBe(recovered);
      await until(
        () => leftovers(own),
        (left) => left.length === 0,
      );
      usage.push(Usage.parse(JSON.parse(readFileSync(permissions, 'utf8'))));
    },
  );

  test('every permission that the stacks grant is used by some scenario, or its reason is written down', () => {
    expect(usage).toHaveLength(SCENARIOS.length);
    expect(checkUsage(mergeUsage(usage), NEVER_USED)).toEqual({ unexplained: [], stale: [] });
  });

  test('the plan of docs/sandbox.md goes wrong and is survived; a fault that did not happen is named', async () => {
    const docs = readFileSync(join(ROOT, 'docs', 'sandbox.md'), 'utf8');
    const example = /```json\n(\{\n {2}"faults".*?)```/s.exec(docs)?.[1] ?? '';
    const { faults } = z.object({ faults: z.array(z.unknown()) }).parse(JSON.parse(example));
    const never = { fault: 'throttling', at: { operation: 'ecs:UpdateService' } };
    const file = join(temporary, 'plan.json');
    writeFileSync(file, JSON.stringify({ faults: [...faults, never] }));
    const at = '2040-06-16T21:30:00Z';
    const { code, stdout } = await drill(['--rows', '500', '--json', '--faults', file, '--at', at]);
    const report = Report.parse(JSON.parse(stdout));
    // The window of RDS's daily backup begins in the middle of it.
    const [[first], last] = [report.states, report.states.at(-1)];
    expect([first?.enteredAt.slice(0, 10), last?.enteredAt.slice(0, 10)]).toEqual([
      '2040-06-16',
      '2040-06-16',
    ]);
    expect({ code, asExpected: report.asExpected }).toEqual({ code: 1, asExpected: false });
    expect(report.executionStatus).toBe('SUCCEEDED');
    expect(report.checks.filter(({ ok }) => !ok)).toEqual([
      { name: 'Every planned fault happened', ok: false, detail: 'not: throttling at ecs:UpdateService' },
    ]);
  });

  test('a drill that cannot be finished says why in its one JSON document', async () => {
    // Of the directory in which npm was called, which is not the package's.
    const { code, stdout } = await drill(['--json', '--faults', 'none.json'], undefined, {
      INIT_CWD: temporary,
    });
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toEqual({
      scenario: 'bad-migration',
      asExpected: false,
      reason: expect.stringContaining(`${join(temporary, 'none.json')} cannot be read: ENOENT`) as unknown,
    });
  });

  test('lists the scenarios, for programs too', async () => {
    const { code, stdout } = await drill(['--list', '--json']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toEqual(SCENARIOS.map(({ name, shows }) => ({ name, shows })));
  });

  test.each([
    [['--scenario', 'no-such'], SCENARIOS.map(({ name }) => name).join(', ')],
    [['--rows', '-5'], 'whole number'],
    [['--rows', 'many'], 'whole number'],
    [['--scenario', 'not-as-recorded', '--rows', '300'], 'needs 700 rows or more'],
    [['--at', '22:00'], 'a moment with its time zone'],
    [['--at', '2020-02-02T22:00Z'], 'It is past'],
    [['--bogus'], "unknown option '--bogus'"],
  ])('refuses %j and says what is allowed', async (args, text) => {
    const { code, stdout, stderr } = await drill(args);
    expect(code).not.toBe(0);
    expect(stdout).toBe('');
    expect(stderr).toContain(text);
  });

  test('leaves nothing behind when it is killed in the middle', async () => {
    const own = ownTemporary();
    const child = start(['--json', '--app', app], own);
    let progress = '';
    child.stderr.on('data', (chunk: Buffer) => (progress += chunk.toString()));
    await until(() => progress.includes('Migrate the task tracker'));
    expect(leftovers(own)).not.toEqual([]);
    child.kill('SIGKILL');
    await until(() => leftovers(own).length === 0);
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)(
    'leaves nothing behind when npm, which started it, gets %s',
    async (signal) => {
      const own = ownTemporary();
      const npm = spawn('npm', ['run', '--silent', 'drill', '--', '--json', '--app', app], {
        cwd: ROOT,
        env: { ...process.env, TMPDIR: own },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let progress = '';
      npm.stderr.on('data', (chunk: Buffer) => (progress += chunk.toString()));
      await until(() => progress.includes('Migrate the task tracker'));
      npm.kill(signal);
      await until(() => leftovers(own).length === 0);
    },
  );
});
