import { z } from 'zod';
import { GetExecutionHistoryCommand } from '@aws-sdk/client-sfn';
import { ApiError } from '../../sandbox/core/api';
import { FUNCTIONS } from '../../lambdas/contract/functions';
import { RecoveryInput } from '../../lambdas/contract/recovery-input';
import { parse } from '../../lambdas/parse';
import { alreadyRuns } from '../../lambdas/recovery-claim';
import { ALL_WELL, LIVE, NEW, PlayedMachine, Thrown, type Answer, type Message } from './played-machine';

/**
 * Every message of the recovery machine, as people get it: the synthesised machine is played to each of its ends, and through
 * each of its failures.
 */
const INPUT = { mode: 'recover', reason: 'checkout broken since 10:02', requestedBy: 'ada@example.com' };

const FACT = 'A fact: ' + 'evidence that no phone has room for, '.repeat(80);
const HINT = 'Look at it, then ' + 'do what helps, '.repeat(20);
/** As long as an error can be. */
const fails: Answer = () => {
  throw new Thrown('Unexpected', `${FACT} Hint: ${HINT}`);
};

interface Way {
  readonly input?: object;
  /** The functions that fail. */
  readonly failing: readonly string[];
  readonly answers?: Readonly<Record<string, Answer>>;
  /** What a person answers to a question; left out: nothing. */
  readonly approves?: boolean;
  /** The subjects of the messages, without the environment; those at the start and the cutover where they are sent. */
  readonly told: readonly string[];
}

/** As the console names executions. */
const OTHER = '01234567-89ab-cdef-0123-456789abcdef_fedcba98-7654-3210-fedc-ba9876543210';
const throws =
  (name: string, message: string): Answer =>
  () => {
    throw new Thrown(name, message);
  };
const OVERTAKEN = throws(
  'RecoveryOvertaken',
  'Execution recovery-12, which bob started, has taken over. Hint: See it.',
);

const ALREADY_RUNS: Answer = () => {
  throw alreadyRuns({
    recoveryId: '9876543210',
    execution: `arn:aws:states:eu-central-1:123456789012:execution:production-recovery:${OTHER}`,
    requestedBy: 'bob@example.com',
    since: '2026-11-22T01:02:03.004Z',
  });
};

const STARTED = 'recovery started';
const FAILED = 'recovery failed, nothing changed';
const RESTART = 'ACT NOW: restart the application';
const KEPT = 'recovered, but the old instance is kept';
const before = (...states: string[]): [string, Way][] =>
  states.map((name) => [`${name} fails`, { failing: [name], told: [STARTED, FAILED] }]);
const after = (...states: string[]): [string, Way][] =>
  states.map((name) => [`${name} fails`, { failing: [name], told: [STARTED, RESTART, KEPT] }]);

const WAYS: readonly [string, Way][] = [
  ['all is well', { failing: [], told: [STARTED, RESTART, 'recovered'] }],
  [
    'all is well, but settings are left to a person',
    {
      failing: [],
      answers: {
        'finish-settings': () => ({
          settings: ['DBInstanceClass', 'MultiAZ', 'AssociatedRoles', 'StorageThroughput'].map((name) => ({
            name,
            live: 'a',
            recovery: 'b',
            equal: false,
            note: 'set it by hand',
          })),
        }),
      },
      told: [STARTED, RESTART, 'recovered'],
    },
  ],
  [
    'all is well, and ECS restarts the application',
    {
      failing: [],
      answers: { 'restart-consumers': () => ({ services: ['api', 'mail', 'jobs', 'web'].map(service) }) },
      told: [STARTED, 'cutover done', 'recovered'],
    },
  ],
  ['plan fails', { failing: ['plan'], told: ['nothing was started'] }],
  ['start-restore fails', { failing: ['start-restore'], told: [FAILED] }],
  [
    'take-safety-snapshot fails',
    { failing: ['take-safety-snapshot'], told: [STARTED, RESTART, 'recovered'] },
  ],
  ...before('check-restored-instance', 'record-position', 'match-settings', 'match-credentials', 'verify'),
  [
    'start-restore finds another recovery at work',
    { failing: [], answers: { 'start-restore': ALREADY_RUNS }, told: ['nothing was started'] },
  ],
  [
    'take-back finds another recovery at work',
    {
      input: { mode: 'undo' },
      failing: [],
      answers: { 'take-back': ALREADY_RUNS },
      told: ['undo: nothing was started'],
    },
  ],
  ...['warm', 'hydrate'].map((name): [string, Way] => [
    `${name} fails`,
    { input: { warm: { tables: ['orders'], percent: 100 } }, failing: [name], told: [STARTED, FAILED] },
  ]),
  [
    'nobody approves the cutover',
    {
      input: { approveCutover: true },
      failing: [],
      told: [STARTED, 'APPROVE THE CUTOVER?', 'not approved, nothing changed'],
    },
  ],
  ...['fence', 'swap', 'prove'].map((name): [string, Way] => [
    `${name} fails`,
    { failing: [name], told: [STARTED, 'recovery failed, swapped back'] },
  ]),
  [
    'swap fails before it swapped',
    { failing: ['swap'], answers: { 'swap-back': () => ({ wasSwapped: false }) }, told: [STARTED, FAILED] },
  ],
  ['swap-back fails', { failing: ['prove', 'swap-back'], told: [STARTED, 'ACT NOW: swapping back failed'] }],
  [
    'swap-back finds that somebody moved the secret',
    {
      failing: ['prove'],
      answers: { 'swap-back': throws('SecretMovedMeanwhile', 'Version v3 is current, it names other:5432.') },
      told: [STARTED, 'ACT NOW: swapping back failed'],
    },
  ],
  [
    'swap-back finds another one at work',
    {
      failing: ['prove'],
      answers: { 'swap-back': throws('RecoveryAlreadyRunning', 'Recovery other has claimed this database.') },
      told: [STARTED, 'ACT NOW: swapping back failed'],
    },
  ],
  [
    'swap is overtaken',
    {
      failing: [],
      answers: { swap: OVERTAKEN, 'swap-back': OVERTAKEN },
      told: [STARTED, 'given up, nothing to do'],
    },
  ],
  [
    'fence is overtaken, and the secret is as it was',
    {
      failing: [],
      answers: { fence: OVERTAKEN, 'swap-back': () => ({ wasSwapped: false }) },
      told: [STARTED, FAILED],
    },
  ],
  ...['prove', 'restart-consumers', 'prove-consumers', 'finish-settings', 'drain', 'retire'].map(
    (name): [string, Way] => [
      `${name} is overtaken`,
      {
        failing: [],
        answers: { [name]: OVERTAKEN },
        told: [
          STARTED,
          ...(name === 'prove' || name === 'restart-consumers' ? [] : [RESTART]),
          'given up, nothing to do',
        ],
      },
    ],
  ),
  ...['rename', 'swap', 'prove', 'prove-consumers', 'finish-rename'].map((name): [string, Way] => [
    `${name} is overtaken in a rename`,
    {
      input: { mode: 'rename' },
      failing: [],
      answers: { [name]: OVERTAKEN },
      approves: true,
      told: [
        'RENAME THE LIVE DATABASE?',
        'rename: the outage begins',
        ...(name === 'prove-consumers' || name === 'finish-rename' ? [`rename: ${RESTART}`] : []),
        'rename: given up, nothing to do',
      ],
    },
  ]),
  [
    'retirement is refused',
    {
      failing: [],
      answers: { retire: throws('RetirementRefused', 'The secret names other:5432.') },
      told: [STARTED, RESTART, KEPT],
    },
  ],
  [
    'lift-fence fails',
    { failing: ['prove', 'lift-fence'], told: [STARTED, 'ACT NOW: nobody can use the database'] },
  ],
  [
    'lift-fence does not reach the live instance, which somebody stopped',
    {
      failing: ['fence'],
      answers: { 'lift-fence': throws('DatabaseUnreachable', `${LIVE.host}:5432 does not answer.`) },
      told: [STARTED, 'ACT NOW: nobody can use the database'],
    },
  ],
  [
    'discard fails',
    { failing: ['verify', 'discard'], told: [STARTED, 'recovery failed, an instance is left'] },
  ],
  [
    'discard finds that the live instance was deleted',
    {
      failing: ['match-settings'],
      answers: { discard: throws('LiveInstanceUnclear', `Instance ${LIVE.instanceId} was deleted.`) },
      told: [STARTED, 'ACT NOW: the database is gone'],
    },
  ],
  ['restart-consumers fails', { failing: ['restart-consumers'], told: [STARTED, RESTART, 'recovered'] }],
  [
    'prove-consumers fails',
    { failing: ['prove-consumers'], told: [STARTED, RESTART, 'ACT NOW: the application is not back'] },
  ],
  ...after('finish-settings', 'drain', 'retire'),
  [
    'soak fails',
    { input: { soakMinutes: 10, soakAlarms: [] }, failing: ['soak'], told: [STARTED, RESTART, KEPT] },
  ],
  [
    'the soak finds something, and nobody answers',
    {
      input: { soakMinutes: 10, soakAlarms: [] },
      failing: [],
      answers: {
        soak: (event, call) => ({
          ...z.looseObject({}).parse(ALL_WELL['soak']?.(event, call)),
          problems: [
            'alarm orders-failing rings: Since 2026-11-22T13:12:08.010Z.',
            'somebody is connected to the old database: 1 of role app (orders-web)',
          ],
        }),
      },
      told: [STARTED, RESTART, 'DELETE THE OLD DATABASE?', KEPT],
    },
  ],
  [
    'nobody approves the retirement',
    {
      input: { approveRetirement: true },
      failing: [],
      told: [STARTED, RESTART, 'DELETE THE OLD DATABASE?', KEPT],
    },
  ],
  ['a drill goes well', { input: { mode: 'drill' }, failing: [], told: [] }],
  [
    'a drill fails',
    { input: { mode: 'drill' }, failing: ['verify'], told: ['drill: recovery failed, nothing changed'] },
  ],
  [
    'what a drill made cannot be deleted',
    {
      input: { mode: 'drill' },
      failing: ['end-drill', 'discard'],
      told: ['drill: recovery failed, an instance is left'],
    },
  ],
  [
    'an undo goes well',
    { input: { mode: 'undo' }, failing: [], told: ['undo: started', `undo: ${RESTART}`, 'undo: recovered'] },
  ],
  [
    'take-back fails',
    { input: { mode: 'undo' }, failing: ['take-back'], told: ['undo: the recovery was not undone'] },
  ],
  [
    'give-back fails',
    {
      input: { mode: 'undo' },
      failing: ['match-settings', 'give-back'],
      told: ['undo: started', 'undo: not undone, an instance is left'],
    },
  ],
  ['a clean-up goes well', { input: { mode: 'clean-up' }, failing: [], told: [] }],
  [
    'clean-up fails',
    { input: { mode: 'clean-up' }, failing: ['clean-up'], told: ['clean-up: not everything was cleaned up'] },
  ],
  [
    'a rename goes well',
    {
      input: { mode: 'rename' },
      failing: [],
      answers: { 'restart-consumers': () => ({ services: ['web'].map(service) }) },
      approves: true,
      told: [
        'RENAME THE LIVE DATABASE?',
        ...['the outage begins', 'cutover done', 'renamed'].map((subject) => `rename: ${subject}`),
      ],
    },
  ],
  [
    'nobody approves a rename',
    {
      input: { mode: 'rename' },
      failing: [],
      told: ['RENAME THE LIVE DATABASE?', 'rename: not approved, nothing changed'],
    },
  ],
  [
    'a rename is refused',
    {
      input: { mode: 'rename' },
      failing: [],
      answers: {
        rename: () => {
          throw new Thrown('RenameRefused', 'A migration runs. Hint: Wait for its end, then ask again.');
        },
      },
      approves: true,
      told: ['RENAME THE LIVE DATABASE?', 'rename: the outage begins', 'rename: not renamed'],
    },
  ],
  ...(
    [
      ['rename', 'ACT NOW: no database'],
      ['swap', 'ACT NOW: no database'],
      ['prove', 'ACT NOW: no database'],
      ['prove-consumers', 'ACT NOW: the application is not back'],
      ['finish-rename', 'renamed, the end is missing'],
    ] as const
  ).map(([failing, subject]): [string, Way] => [
    `${failing} fails in a rename`,
    {
      input: { mode: 'rename' },
      failing: [failing],
      approves: true,
      told: [
        'RENAME THE LIVE DATABASE?',
        'rename: the outage begins',
        ...(failing.startsWith('prove-') || failing.startsWith('finish') ? [`rename: ${RESTART}`] : []),
        `rename: ${subject}`,
      ],
    },
  ]),
  ['a plan is made', { input: { mode: 'plan' }, failing: [], told: [] }],
];

/** What only whoever has the claim can know. */
const UNTRUE =
  /DATABASE_URL (still )?names p|may name either|update-secret-version-stage|which works|The cutover stands|delete it by hand/;

const lines = (...text: readonly string[]): string => text.join('\n');
const service = (name: string) => ({ cluster: 'apps', service: name, deploymentId: 'ecs-svc/1' });
const Planned = z.object({ recovery: z.unknown(), plan: z.looseObject({}) });
/** The same with names as long as RDS lets them be. */
const longNames: Answer = (event, call) => {
  const text = JSON.stringify(ALL_WELL['plan']?.(event, call));
  const named = text.replaceAll(NEW.instanceId, 'n'.repeat(63)).replaceAll(LIVE.instanceId, 'l'.repeat(63));
  return JSON.parse(named) as unknown;
};

describe('what people are told', () => {
  let machine: PlayedMachine;
  /** The states that were entered by any of the ways. */
  const entered = new Set<string>();
  beforeAll(async () => {
    machine = await PlayedMachine.start();
  });
  afterAll(async () => {
    await machine.stop();
  });

  const play = async (
    { input, failing, answers, approves }: Omit<Way, 'told'>,
    more: Record<string, Answer> = {},
  ) => {
    const failures = Object.fromEntries(failing.map((name) => [name, fails]));
    const run = await machine.run({ ...INPUT, ...input }, { ...answers, ...more, ...failures }, () =>
      approves ? 'approve' : undefined,
    );
    for (const name of await statesOf(run.executionArn)) entered.add(name);
    return run;
  };

  async function statesOf(executionArn: string): Promise<string[]> {
    const { events = [] } = await machine.client.send(
      new GetExecutionHistoryCommand({ executionArn, maxResults: 1000 }),
    );
    return events.flatMap(({ stateEnteredEventDetails }) => stateEnteredEventDetails?.name ?? []);
  }

  const CONSOLE =
    'https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1#/v2/executions/details/';

  /** What is wrong with a message on a phone: a list of subjects, a text message, a screen. */
  function faults({ subject, text }: Message, executionArn: string, most: number): string[] {
    const name = executionArn.split(':').at(-1) ?? '';
    const lines = text.split('\n');
    const [first = ''] = lines;
    // As the console names executions. A question has a command in it, to be copied.
    const { length } = text.replaceAll(name, '01234567-89ab-cdef-0123-456789abcdef');
    const isQuestion = subject.endsWith('?');
    const rules: Record<string, boolean> = {
      'subject begins with the environment': subject.startsWith('production: '),
      'subject is short': subject.length <= 60,
      'subject is plain': /^[\x20-\x7e]+$/.test(subject),
      'first line begins with the environment': first.startsWith('production: '),
      [`first line is short (${first.length})`]: first.length <= 160,
      [`all is short (${length})`]: length <= (isQuestion ? most + 300 : most),
      'there is something to do': lines.length >= 3 && lines.every((line) => line.trim() !== ''),
      'the last line leads to the execution': lines.at(-1) === `${CONSOLE}${executionArn}`,
      'nothing is left open': !/undefined|null|NaN|\[object|\S {2}\S/.test(text),
      'no secret': !/postgres(ql)?:\/\/|password/i.test(text),
    };
    return Object.keys(rules).filter((rule) => rules[rule] !== true);
  }

  test.each(WAYS)('%s', async (_, { told, ...way }) => {
    for (const [most, more] of [
      [620, {}],
      [750, { plan: longNames }],
    ] as const) {
      const { executionArn, status, cause, messages } = await play(way, more);
      expect(messages.map(({ subject }) => subject)).toEqual(told.map((subject) => `production: ${subject}`));
      for (const message of messages)
        expect({ ...message, faults: faults(message, executionArn, most) }).toEqual({
          ...message,
          faults: [],
        });
      const [failing] = way.failing;
      if (status === 'SUCCEEDED' || failing === undefined) continue;
      // The last one names the state that failed and its error; all of the evidence is in the cause.
      const state = failing.replace(/(^|-)([a-z])/g, (_match, _dash, letter: string) => letter.toUpperCase());
      expect(messages.at(-1)?.text).toContain(`\n${state}: Unexpected: A fact: evidence`);
      expect(messages.at(-1)?.text).toContain('\nHint: Look at it, then do what helps');
      expect(cause).toContain(FACT.trimEnd());
    }
  });

  test.each([
    ['plan', 'recover'],
    ['start-restore', 'recover'],
    ['plan', 'drill'],
    ['take-back', 'undo'],
  ])(
    'whoever started beside another one is told by %s to follow that one, in mode %s',
    async (name, mode) => {
      const { messages, error, cause } = await play({
        input: { mode },
        failing: [],
        answers: { [name]: ALREADY_RUNS },
      });
      const [told, ...others] = messages;
      expect({ error, others }).toEqual({ error: 'RecoveryAlreadyRunning', others: [] });
      for (const said of [told?.text, cause]) {
        expect(said).toContain(OTHER);
        expect(said).toContain('Nothing is to be done but to follow it.');
        expect(said).not.toMatch(/start (a new|again|another)|redrive|was undone|gone again/i);
      }
    },
  );

  test.each([
    [
      { mode: 'recover', requestedBy: 'ada' },
      'reason: got nothing, allowed is a text: it is needed to recover.',
    ],
    [{ mode: 'drill', soakMinutes: 5 }, 'soakMinutes: got 5, allowed is no such field in mode "drill".'],
    [
      { restore: { to: 'x'.repeat(500) } },
      'allowed is one of "latest-pre-migration-snapshot", "latest-snapshot", "before-mig',
    ],
  ])('an input that is refused, %j, is told with what is allowed', async (input, said) => {
    const { messages } = await play({
      input,
      failing: [],
      answers: { plan: () => parse(RecoveryInput, input, 'input of the recovery') },
    });
    expect(messages.at(-1)?.text).toContain(said);
  });

  test('these were all: every state that tells or asks people was entered, every function failed', () => {
    const names = Object.entries(machine.states);
    const telling = names.filter(([, { Resource }]) => Resource?.includes(':sns:publish'));
    expect(telling.map(([name]) => name).filter((name) => !entered.has(name))).toEqual([]);
    const steps = FUNCTIONS.filter((name) => !['pre-migration-snapshot', 'decide', 'fail'].includes(name));
    const failed = new Set(WAYS.flatMap(([, { failing }]) => failing));
    expect(steps.filter((name) => !failed.has(name))).toEqual([]);
  });

  test('an execution that was overtaken says nothing of what is live, and has no command', async () => {
    for (const way of WAYS.filter(([name]) => /overtaken|refused$|swap-back finds/.test(name))) {
      const { messages, cause, executionArn } = await play(way[1]);
      const said = `${messages.at(-1)?.subject ?? ''}\n${messages.at(-1)?.text ?? ''}\n${cause}`;
      expect({ way: way[0], said }).toEqual({
        way: way[0],
        said: expect.not.stringMatching(UNTRUE) as string,
      });
      if (!way[0].includes('overtaken') || way[0].startsWith('fence')) continue;
      expect(await statesOf(executionArn)).toContain('Overtaken');
    }
  });

  /** With what differs from run to run taken out. */
  const fixed = (messages: readonly Message[]): string[] =>
    messages.map(({ subject, text }) =>
      `${subject}\n\n${text}`
        .replace(/\d{4}-\d\d-\d\d \d\d:\d\d/g, 'TIME')
        .replace(/\nhttps:.*$/, '')
        .replace(/recovery-\d+/g, 'EXECUTION'),
    );

  test('word by word: a recovery from its start to its end', async () => {
    const { messages } = await play({ failing: [] });
    expect(fixed(messages)).toEqual([
      lines(
        'production: recovery started',
        '',
        'production: recovery started by ada@example.com: checkout broken since 10:02',
        'Back to TIME UTC (snapshot production-database-pre-migration-build-4711-0123456789). Writes since are lost, 7 min by now: stop the pipeline and the writers.',
        'Migrations that go: 20251208120000_drop_details.',
        'It takes about 14 min; until the cutover nothing changes.',
      ),
      lines(
        'production: ACT NOW: restart the application',
        '',
        'production: DATABASE_URL names production-database-rec-0123456789 now, and works.',
        'Restart everything that uses it, now: it has no database until then.',
        'Nobody can connect to production-database any more. What was written there since TIME UTC is in it only.',
      ),
      lines(
        'production: recovered',
        '',
        'production: recovered in 0 min. DATABASE_URL names production-database-rec-0123456789.',
        'Its data is that of TIME UTC. The old production-database was deleted; what was written since is in its final snapshot production-database-final-0123456789.',
        'Taken away, and pending again: 20251208120000_drop_details. Mend them before the next deployment.',
        'For CloudFormation: npm run adopt, or {"mode":"rename"}.',
      ),
    ]);
  });

  test('at its end it names the settings that are left to a person', async () => {
    const [way] = WAYS.flatMap(([name, one]) => (name.includes('left to a person') ? [one] : []));
    const { messages } = await play(way ?? { failing: [] });
    expect(messages.at(-1)?.text).toContain('\nSet by hand: DBInstanceClass, MultiAZ, AssociatedRoles ...\n');
  });

  test.each(['recover', 'undo', 'rename'])(
    'after mode %s it names what still looks at the old name, in one line more',
    async (mode) => {
      const namedBy = {
        alarms: ['orders-free-storage', 'orders-processor', 'orders-write-latency'],
        dashboards: ['orders'],
      };
      const plan: Answer = (event, call) => {
        const { recovery, plan: planned } = Planned.parse(ALL_WELL['plan']?.(event, call));
        return { recovery, plan: { ...planned, namedBy } };
      };
      const way = { input: mode === 'recover' ? {} : { mode }, failing: [], approves: true };
      const { messages, executionArn } = await play(way, { plan });
      const last = messages.at(-1) ?? { subject: '', text: '' };
      expect(faults(last, executionArn, 720)).toEqual([]);
      expect(last.text).toContain(
        '\nStill look at the old name: orders-free-storage, orders-processor, orders-write-laten...\n',
      );
    },
  );

  test.each([
    [
      'recover',
      [
        'production: recovered in 0 min. DATABASE_URL names production-database-rec-0123456789.',
        expect.stringContaining('The old production-database was deleted') as string,
        expect.stringContaining('Taken away, and pending again: 20251208120000_drop_details.') as string,
        'For CloudFormation: npm run adopt, or {"mode":"rename"}.',
      ],
    ],
    ['undo', expect.arrayContaining([expect.stringContaining('undo: recovered') as string]) as string[]],
    [
      'drill',
      [
        'production: drill: went well. A recovery would cut over now, after 14 min, the restore in it 9 min.',
        '21 checks passed, 1 did not: warnings, or accepted. production-database-rec-0123456789 is deleted again.',
      ],
    ],
    [
      'clean-up',
      [
        'production: clean-up: done: production-database is open again, production-database-rec-0123456789 is deleted.',
        'Left alone: recovery instance production-database-rec-9876543210. Nobody knows it.',
      ],
    ],
    [
      'rename',
      [
        'production: rename: renamed. DATABASE_URL names production-database, and works.',
        'It was production-database-rec-0123456789. Without a database: 11 min, from 2026-11-22 02:00 UTC.',
        'The stack owns it again: a deploy changes nothing.',
      ],
    ],
  ])('the output of %s says what is true at its end, not what was planned', async (mode, summary) => {
    const { status, output } = await play({ input: { mode }, failing: [], approves: true });
    expect({ status, output }).toMatchObject({ status: 'SUCCEEDED', output: { summary } });
    expect(JSON.stringify(output)).not.toMatch(/HAS NO DATABASE|is asked first/);
  });

  test('a rename without room for its snapshot says so', async () => {
    const { messages, output } = await play({
      input: { mode: 'rename' },
      failing: [],
      answers: {
        'finish-rename': (event, call) => ({
          ...z.looseObject({}).parse(ALL_WELL['finish-rename']?.(event, call)),
          snapshot: { taken: false, reason: '98 of 100 manual snapshots are used.' },
        }),
      },
      approves: true,
    });
    const said =
      'Without a snapshot: 98 of 100 manual snapshots are used. Until there is one a recovery cannot go without the instance: ask for one, or wait for the schedule.';
    expect(messages.at(-1)?.text).toContain(`\n${said}\n`);
    expect(output).toMatchObject({ summary: expect.arrayContaining([said]) as string[] });
  });

  test.each([
    ['finish-rename', 'FinishRename', ['finish-rename']],
    ['prove-consumers', 'ProveConsumers', ['prove-consumers', 'finish-rename']],
    ['prove', 'Rename', ['rename', 'swap', 'prove', 'restart-consumers', 'prove-consumers', 'finish-rename']],
  ])('a rename that failed in %s goes on at %s', async (failing, state, called) => {
    const run = await play({ input: { mode: 'rename' }, failing: [failing], approves: true });
    expect(run.status).toBe('FAILED');
    const before = (await statesOf(run.executionArn)).length;
    const again: string[] = [];
    const answers = Object.fromEntries(
      Object.entries(ALL_WELL).map(([name, answer]): [string, Answer] => [
        name,
        (event, call) => {
          if (name !== 'fail') again.push(name);
          return answer(event, call);
        },
      ]),
    );
    const { status } = await machine.redrive(run.executionArn, answers);
    expect({ status, again }).toEqual({ status: 'SUCCEEDED', again: called });
    expect((await statesOf(run.executionArn)).slice(before)).toContain(state);
  });

  test.each([
    [
      'a cutover that nobody approves',
      { input: { approveCutover: true }, failing: [] },
      [
        lines(
          'production: APPROVE THE CUTOVER?',
          '',
          'production: production-database-rec-0123456789 is restored and verified. May it serve?',
          'Yes: everybody is locked out of production-database, DATABASE_URL moves, the application has to be restarted. What was written since TIME UTC (7 min by now) is not in that one.',
          'No, or no answer until TIME UTC: both are kept, the application stays where it is.',
          'To say yes (no: reject):',
          `aws lambda invoke --function-name production-decide --cli-binary-format raw-in-base64-out --payload '{"execution":"EXECUTION","question":"cutover","decision":"approve","by":"YOUR NAME","reason":"WHY"}' answer.json; cat answer.json`,
        ),
        lines(
          'production: not approved, nothing changed',
          '',
          'production: the cutover was not approved. DATABASE_URL still names production-database.',
          'AskForCutover: NotApproved: nobody answered within 12 hours, which counts as no.',
          'Nobody is locked out. production-database-rec-0123456789 is kept, too, and costs as much: redrive to be asked again, or delete it, as the runbook says.',
        ),
      ],
    ],
    [
      'a restored database that is not right',
      {
        failing: [],
        answers: {
          verify: () => {
            throw new Thrown(
              'VerificationFailed',
              '1 of 13 checks failed: writable. Hint: Choose another restore point.',
            );
          },
        },
      },
      [
        lines(
          'production: recovery failed, nothing changed',
          '',
          'production: recovery failed, and was undone. DATABASE_URL still names production-database.',
          'Verify: VerificationFailed: 1 of 13 checks failed: writable.',
          'Hint: Choose another restore point.',
          'What was made is gone again. This recovery is over: start a new one.',
        ),
      ],
    ],
    [
      'an application that does not come',
      {
        failing: [],
        answers: {
          'prove-consumers': () => {
            throw new Thrown('LoginRefused', 'The application is refused.');
          },
        },
      },
      [
        expect.stringMatching(/^production: ACT NOW: restart the application\n/) as string,
        lines(
          'production: ACT NOW: the application is not back',
          '',
          'production: DATABASE_URL names production-database-rec-0123456789, which works; the application is not on it.',
          'ProveConsumers: LoginRefused: The application is refused.',
          'The cutover stands; production-database is kept. Restart what uses DATABASE_URL, then redrive.',
        ),
      ],
    ],
  ])('word by word: %s', async (_, way, expected) => {
    const { messages } = await play(way);
    const [started, ...others] = fixed(messages);
    expect(started).toMatch(/^production: recovery started\n/);
    expect(others).toEqual(expected);
  });

  /** The last message, or the one with that subject. */
  const saying = (answers: Way['answers'] = {}, more: Partial<Way> = {}, about?: string) => ({
    way: { failing: [], ...more, answers },
    about,
  });
  const planning = (changes: object, point?: object): Answer => {
    const plan = z.object({ recovery: z.looseObject({}), plan: z.looseObject({}) });
    return (event, call) => {
      const { recovery, plan: made } = plan.parse(ALL_WELL['plan']?.(event, call));
      return { recovery: { ...recovery, ...point }, plan: { ...made, ...changes } };
    };
  };
  const retired = (result: object): Record<string, Answer> => ({
    retire: () => ({ instanceId: LIVE.instanceId, ...result }),
  });
  const verified = (migrationsTakenAway: string[] | null): Record<string, Answer> => ({
    verify: (event, call) => ({
      ...z.looseObject({}).parse(ALL_WELL['verify']?.(event, call)),
      migrationsTakenAway,
    }),
  });
  const byTime = { restorePoint: { kind: 'time', time: '2026-11-22T01:00:00Z', pendingMigrations: null } };
  test.each([
    [
      'a start of which little is known',
      saying(
        { plan: planning({ migrations: { goAway: null, stay: null }, expectedMinutes: null }, byTime) },
        {},
        STARTED,
      ),
      [
        'Back to 2026-11-22 01:00 UTC (automated backups)',
        'Which migrations go is not known.',
        'No earlier recovery says how long it takes.',
      ],
    ],
    [
      'a start that takes no migration away',
      saying({ plan: planning({ migrations: { goAway: [], stay: null } }) }, {}, STARTED),
      ['No migration goes.'],
    ],
    [
      'an old instance that is kept until a day',
      saying(retired({ retired: 'kept', keepUntil: '2026-12-06T02:00:00.000Z' })),
      ['The old production-database is kept until 2026-12-06; what was written since is in it.'],
    ],
    [
      'an old instance that is kept',
      saying(retired({ retired: 'kept', keepUntil: null })),
      ['The old production-database is kept; what was written since is in it.'],
    ],
    [
      'an old instance that was gone',
      saying(retired({ retired: 'gone' })),
      ['production-database was gone already.'],
    ],
    [
      'migrations that are not known',
      saying(verified(null)),
      ['Which migrations were taken away is not known: look'],
    ],
    ['no migration taken away', saying(verified([])), ['No migration was taken away.']],
    [
      'a live instance that does not answer any more, and cannot be opened',
      saying(
        { 'lift-fence': throws('DatabaseUnreachable', `${LIVE.host}:5432 does not answer.`) },
        { failing: ['fence'] },
      ),
      [
        `If it is stopped: aws rds start-db-instance --db-instance-identifier ${LIVE.instanceId}\n`,
        'Once it answers, redrive: it is opened, and that is all.',
      ],
    ],
    [
      'an undo',
      saying({}, { input: { mode: 'undo' } }),
      ['Its migrations are those of then, too: what was applied since is pending again.'],
    ],
    [
      'an undo that was swapped back, and cannot be fenced again',
      saying(
        { 'lift-fence': () => ({ lifted: true, reason: '', stillOpen: 'The server does not answer.' }) },
        { input: { mode: 'undo' }, failing: ['prove'] },
      ),
      [
        `${NEW.instanceId} is retired again, and kept. DATABASE_URL named it for a while: restart what read it meanwhile`,
        'It could not be fenced again: The server does not answer. Start a new undo.',
      ],
    ],
    [
      'a rename whose secret somebody changed',
      saying(
        { swap: throws('SecretMovedMeanwhile', 'Version v3 is current.') },
        { input: { mode: 'rename' }, approves: true },
      ),
      ['There is no way back. Start a rename again: it goes on from what is there.'],
    ],
    [
      'a soak that found something where the old instance is kept anyway',
      saying(
        {
          soak: (event, call) => ({
            ...z.looseObject({}).parse(ALL_WELL['soak']?.(event, call)),
            problems: ['transactions fail: 20 of 100.'],
          }),
        },
        { input: { soakMinutes: 10, soakAlarms: [], retire: 'keep' } },
        'LOOK AT THE NEW DATABASE',
      ),
      [
        'LOOK: transactions fail: 20 of 100. Is it over?',
        'Yes: production-database is kept, the recovery is over.',
      ],
    ],
  ])('%s is told in these words', async (_, { way, about }, expected) => {
    const { messages } = await play(way);
    const message =
      about === undefined ? messages.at(-1) : messages.find(({ subject }) => subject.endsWith(about));
    for (const words of expected) expect(message?.text).toContain(words);
  });

  test('what failed after a redrive says what it did itself: another execution may have moved the secret meanwhile', async () => {
    const { executionArn } = await play({ failing: ['plan'] });
    const { messages } = await machine.redrive(executionArn, { verify: fails });
    const told: unknown[] = [];
    const { executionArn: other } = await play({ failing: ['plan'] });
    await machine.redrive(other, {
      prove: fails,
      'swap-back': (event) => {
        told.push(event);
        return { wasSwapped: true };
      },
    });
    // So that it waits for what was cut off before.
    expect(told).toMatchObject([{ redrives: 1 }]);
    expect(messages.at(-1)?.text).toContain('This did not change DATABASE_URL.');
    expect(messages.at(-1)?.text).not.toMatch(UNTRUE);
  });

  test('told or not, a recovery goes on', async () => {
    const { api } = machine.served.context;
    let refused = 0;
    const unhook = api.intercept(({ context }, next) => {
      if (context.operation !== 'Publish') return next();
      refused++;
      throw new ApiError('InternalError', 'SNS is out of order.');
    });
    try {
      const { executionArn, status, error, cause } = await machine.run(INPUT);
      const states = await statesOf(executionArn);
      expect(states.slice(-2)).toEqual(['NotifyRecovered', 'RecoveredButNotTold']);
      expect(states).toEqual(expect.arrayContaining(['NotifyStarted', 'NotifyCutover', 'Retire']));
      expect({ status, error }).toEqual({ status: 'FAILED', error: 'NotificationFailed' });
      expect(cause).toContain('The recovery is complete');
      // Two of each on the way, five at the end.
      expect(refused).toBe(9);
    } finally {
      unhook();
    }
  });
});
