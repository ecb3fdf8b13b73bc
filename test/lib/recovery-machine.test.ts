import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { NOT_YET_ERRORS, PASSING_ERRORS, STOPPED_NOT_YET } from '../../lambdas/contract/asking-again';
import { FUNCTIONS } from '../../lambdas/contract/functions';
import * as errors from '../../lambdas/errors';
import { LONGEST_TASK_MS } from '../../lambdas/cut-off';
import { STOPPED_WAIT, WAITS, type Wait } from '../../lib/recovery-machine/waits';
import {
  definition,
  following,
  isRedrivableEnd,
  kebab,
  machine,
  properties,
  redrivableEnds,
  state,
  states,
  steps,
  tasks,
  type State,
} from './machine-definition';

// GIVEN the machine of production

/** Every state that can come after it, until the execution ends; with `redrives` also beyond that. */
function reachableFrom(start: string, redrives: 'redrives' | 'no redrives' = 'no redrives'): Set<string> {
  const seen = new Set<string>();
  const visit = (name: string): void => {
    if (seen.has(name)) return;
    seen.add(name);
    if (redrives === 'redrives' || !isRedrivableEnd(name)) following(name).forEach(visit);
  };
  visit(start);
  return seen;
}

/** Named by a catch is only what is no failure: Retire goes back to Drain. */
function failuresOf({ Catch }: Pick<State, 'Catch'>): State['Catch'] {
  return Catch.filter(({ ErrorEquals }) => ErrorEquals.includes('States.ALL'));
}

test('is written in JSONata and called <env>-recovery', () => {
  expect(machine.QueryLanguage).toBe('JSONata');
  expect(properties['StateMachineName']).toBe('production-recovery');
});

test('is valid by the schema of the Amazon States Language', () => {
  // The package has no types and is CommonJS.
  const validate = z.function({
    input: [z.unknown()],
    output: z.object({ isValid: z.boolean(), errors: z.unknown() }),
  });
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const check = validate.implement(require('asl-validator'));
  expect(check(definition)).toEqual({ isValid: true, errors: [] });
});

test('every task has a timeout and a way for its failure', () => {
  for (const [name, { TimeoutSeconds, Catch }] of tasks)
    expect({ name, limited: (TimeoutSeconds ?? 0) > 0, caught: Catch.at(-1)?.ErrorEquals }).toEqual({
      name,
      limited: true,
      // Uncaught, so that the execution ends there and a redrive runs it again.
      caught: isRedrivableEnd(name) ? undefined : ['States.ALL'],
    });
});

test('a safety snapshot that cannot be taken stops no recovery', () => {
  const { Catch, Next } = state('TakeSafetySnapshot');
  expect(Catch.map((handler) => handler.Next)).toEqual([Next]);
});

test('every other path from a catch ends FAILED', () => {
  // Whoever could not be restarted is restarted by hand: the swap is good. Who could not be told on the way reads the end.
  const goesOn = [
    'TakeSafetySnapshot',
    'NotifyStarted',
    'RestartConsumers',
    'NotifyCutover',
    'NotifyNotRestarted',
    'NotifyOutage',
    'NotifyRenamed',
    // That CloudWatch does not answer is one more thing that Soak judges.
    'LookAtAlarms',
  ];
  const handlers = new Set(
    states.flatMap(([name, { Catch }]) =>
      goesOn.includes(name) ? [] : failuresOf({ Catch }).map(({ Next }) => Next),
    ),
  );
  expect(handlers.size).toBeGreaterThan(4);
  for (const handler of handlers)
    for (const name of reachableFrom(handler)) {
      expect({ handler, name, type: state(name).Type }).not.toMatchObject({ type: 'Succeed' });
      if (following(name).length === 0)
        expect({ handler, name, type: state(name).Type }).toMatchObject({ type: 'Fail' });
      else if (!isRedrivableEnd(name)) expect(state(name).Type).not.toBe('Fail');
    }
});

test('every state can be reached', () => {
  expect([...reachableFrom(machine.StartAt, 'redrives')].sort()).toEqual(states.map(([name]) => name).sort());
});

test('its steps are the functions, each once', () => {
  expect(steps.map(([name]) => kebab(name)).sort()).toEqual(
    FUNCTIONS.filter((name) => !['pre-migration-snapshot', 'fail', 'decide'].includes(name)).sort(),
  );
});

test('its states are those of the document', () => {
  const document = readFileSync(join(__dirname, '../../docs/state-machine.md'), 'utf8');
  for (const [name] of states)
    expect({ name, described: document.includes(`\`${name}\``) }).toEqual({ name, described: true });
  const described = [...document.matchAll(/`([A-Z][A-Za-z]+\??)`/g)].map(([, name]) => name);
  const others = described.filter(
    (name) => name !== undefined && !(name in errors) && !(name in machine.States),
  );
  expect(others).toEqual([]);
});

test('runs the steps of a recovery in order', () => {
  const order: string[] = [];
  for (
    let name: string | undefined = state('PlanOnly?').Default;
    name;
    name = state(name).Next ?? state(name).Default
  )
    order.push(name);
  expect(order).toEqual([
    'StartRestore',
    'TakeSafetySnapshot',
    'TellPeople?',
    'CheckRestoredInstance',
    'RecordPosition',
    'MatchSettings',
    'MatchCredentials',
    'CutOverNow?',
    'IsItAnUndo?',
    'Verify',
    'IsItADrill?',
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
    'Retire',
    'NotifyRecovered',
    'Recovered',
  ]);
});

test('a drill ends before the fence', () => {
  expect(following('IsItADrill?')).toEqual(['Warm?', 'EndDrill']);
  const reached = [...reachableFrom('EndDrill')];
  expect(reached).toContain('Drilled');
  for (const name of ['Fence', 'Swap', 'Retire']) expect(reached).not.toContain(name);
});

test.each([
  [['Plan'], 'NotifyPlanFailed', 'PlanFailed'],
  [['CleanUp'], 'NotifyCleanUpFailed', 'CleanUpFailed'],
  [
    [
      'StartRestore',
      'TakeBack',
      'CheckRestoredInstance',
      'RecordPosition',
      'MatchSettings',
      'MatchCredentials',
      'Verify',
      'EndDrill',
      'Warm',
      'Hydrate',
    ],
    'WasItTakenBack?',
    'RecoveryFailed',
  ],
  [['Fence'], 'SwapBack', 'SwappedBack'],
  [['Swap', 'Prove'], 'IsThereAWayBack?', 'SwappedBack'],
  [['Rename', 'FinishRename'], 'NotifyRenameNotFinished', 'RenameNotFinished'],
  [['AskForRename'], 'NotifyRenameNotApproved', 'RenameNotApproved'],
  [['LiftFence'], 'NotifyLiftFenceFailed', 'LiftFenceFailed'],
  [['SwapBack'], 'NotifySwapBackFailed', 'SwapBackFailed'],
  [['Discard'], 'NotifyDiscardFailed', 'DiscardFailed'],
  [['AskForCutover'], 'NotifyCutoverNotApproved', 'CutoverNotApproved'],
  [['RestartConsumers'], 'NotifyNotRestarted', 'OldInstanceKept'],
  [
    ['FinishSettings', 'Drain', 'Soak', 'AskForRetirement', 'Retire'],
    'NotifyOldInstanceKept',
    'OldInstanceKept',
  ],
  [['ProveConsumers'], 'IsThereAnOldInstance?', 'OldInstanceKept'],
])('when %s fails, goes by %s to %s', (failing, handler, end) => {
  for (const name of failing) expect(failuresOf(state(name)).map(({ Next }) => Next)).toEqual([handler]);
  expect(reachableFrom(handler)).toContain(end);
});

const WHERE_IT_FAILED = [
  ...['AskForRetirement', 'Drain', 'FinishRename', 'FinishSettings', 'ProveConsumers', 'Rename', 'Retire'],
  'Soak?',
];
test.each([
  ['PlanFailed', ['Plan']],
  ['CleanUpFailed', ['CleanUp']],
  ['DiscardFailed', ['Discard']],
  ['GiveBackFailed', ['GiveBack']],
  ['SwapBackFailed', ['SwapBack']],
  ['LiftFenceFailed', ['LiftFence']],
  ['OldInstanceKept', WHERE_IT_FAILED],
  ['CutoverNotApproved', ['AskForCutover']],
  ['RenameNotApproved', ['AskForRename']],
  ['RenameNotFinished', WHERE_IT_FAILED],
  ['RecoveredButNotTold', ['NotifyRecovered']],
])('after %s a redrive goes on with %j', (end, going) => {
  const next = following(end).flatMap((name) => (state(name).Type === 'Choice' ? following(name) : [name]));
  expect(next.sort()).toEqual(going);
});

test.each([
  ['AskForCutover', 'ApproveCutover?', '{% $recovery.approveCutover %}', 'MatchSettings', 'Fence'],
  [
    'AskForRetirement',
    'ApproveRetirement?',
    '{% (($recovery.approveRetirement and $recovery.retire = "delete") or $count($soak.problems) > 0) and ' +
      '$not($leave != null and $leave.redrives = ($exists($states.context.Execution.RedriveCount) ? ' +
      '$states.context.Execution.RedriveCount : 0) and $millis() - $leave.at < 21600000) %}',
    // Once more, then to the same choice.
    'Drain',
    'Retire',
  ],
])(
  '%s asks a person only where that is wanted, once, and goes on',
  (ask, choice, condition, next, otherwise) => {
    const { Choices, Default } = state(choice);
    expect(Choices[0]).toMatchObject({ Condition: condition, Next: ask });
    expect(Default).toBe(otherwise);
    const { Next, Resource, Retry } = state(ask);
    expect({ Next, Resource }).toEqual({
      Next: next,
      Resource: 'arn:aws:states:::sns:publish.waitForTaskToken',
    });
    // A no, or none, is not asked about again; only telling people is.
    expect(Retry[0]).toMatchObject({ ErrorEquals: ['NotApproved', 'States.Timeout'], MaxAttempts: 0 });
  },
);

test('after a wait of more than a minute settings and passwords are matched once more before anybody is locked out', () => {
  expect(state('ApproveCutover?').Choices[1]).toEqual({
    Condition: '{% $waited or $millis() - $matchedAt > 60000 %}',
    Next: 'MatchSettings',
    Assign: { waited: true },
  });
  expect(state('CutOverNow?')).toMatchObject({
    Choices: [{ Condition: '{% $waited %}', Next: 'Fence' }],
    Default: 'IsItAnUndo?',
  });
  expect(state('Plan').Assign).toMatchObject({ waited: '{% false %}' });
  for (const name of ['AskForCutover', 'Hydrate'])
    expect(state(name).Assign).toMatchObject({ waited: '{% true %}' });
});

test.each([
  ['NotifyStarted', 'CheckRestoredInstance'],
  ['NotifyCutover', 'ProveConsumers'],
  ['NotifyNotRestarted', 'ProveConsumers'],
  ['NotifyOutage', 'Rename'],
  ['NotifyRenamed', 'Renamed'],
])('%s holds nothing up: %s comes within seconds, told or not', (name, next) => {
  const { Next, Catch, Retry, TimeoutSeconds = Infinity } = state(name);
  expect([Next, ...Catch.map((handler) => handler.Next)]).toEqual([next, next]);
  const tries = 1 + Retry.reduce((sum, { MaxAttempts }) => sum + MaxAttempts, 0);
  expect(tries * TimeoutSeconds + Retry.reduce((sum, retrier) => sum + waited(retrier), 0)).toBeLessThan(15);
});

test('a rename goes forward only: nothing is fenced, discarded, retired or swapped back, and a person is asked unless it has begun', () => {
  expect(state('RenameBegun?')).toMatchObject({
    Choices: [{ Condition: '{% $recovery.rename.begun %}', Next: 'Rename' }],
    Default: 'AskForRename',
  });
  expect([state('AskForRename').Next, state('NotifyOutage').Next, state('Rename').Next]).toEqual([
    'NotifyOutage',
    'Rename',
    'Swap',
  ]);
  const condition = '{% $exists($recovery.rename) %}';
  const [overtaken, renamed, ...others] = state('IsThereAWayBack?').Choices;
  expect({ overtaken, renamed, others }).toMatchObject({
    overtaken: {
      Condition: '{% $exists($recovery.rename) and $firstError.error = "RecoveryOvertaken" %}',
      Next: 'NotifyOvertaken',
    },
    renamed: { Condition: condition, Next: 'NotifyRenameNotFinished' },
    others: [],
  });
  const forward = ['IsThereAnOldInstance?', 'IsItARename?'].map((choice) => {
    const [only, ...others] = state(choice).Choices;
    expect({ choice, condition: only?.Condition, others }).toEqual({ choice, condition, others: [] });
    return only?.Next ?? '';
  });
  expect(forward).toEqual(['NotifyRenameNotFinished', 'FinishRename']);
  for (const next of [...forward, 'NotifyOvertaken'])
    for (const name of ['Fence', 'Discard', 'Retire', 'SwapBack', 'LiftFence'])
      expect([...reachableFrom(next)]).not.toContain(name);
});

test('people are told of the start while RDS restores, and not of a drill', () => {
  expect(state('TellPeople?')).toMatchObject({
    Choices: [{ Condition: '{% $recovery.mode != "drill" %}', Next: 'NotifyStarted' }],
    Default: 'CheckRestoredInstance',
  });
});

test('what a no leaves behind is discarded by nobody, and nobody is locked out', () => {
  for (const name of ['Discard', 'Fence', 'Swap', 'SwapBack'])
    expect([...reachableFrom('NotifyCutoverNotApproved')]).not.toContain(name);
});

test('every end that says to redrive it is one that a redrive goes on from', () => {
  expect(redrivableEnds).toHaveLength(11);
});

test('whatever fails behind the fence, the old database is opened again, once the secret is known to name it', () => {
  const ways = (name: string): unknown[] =>
    state(name).Catch.map(({ Next }) => (state(Next).Type === 'Choice' ? state(Next).Default : Next));
  for (const name of ['Fence', 'Swap']) expect(ways(name)).toEqual(['SwapBack']);
  // Prove throws RecoveryOvertaken only where the secret names what another execution brought.
  expect(ways('Prove')).toEqual(['NotifyOvertaken', 'SwapBack']);
  expect(state('SwapBack').Next).toBe('LiftFence');
  for (const end of ['RecoveryFailed', 'SwappedBack']) expect([...reachableFrom('LiftFence')]).toContain(end);
});

test('nothing is discarded once the swap has been proved', () => {
  for (const name of ['FinishSettings', 'Drain', 'Retire', 'NotifyRecovered'])
    expect([...reachableFrom(name)]).not.toEqual(expect.arrayContaining(['Discard']));
});

test('a failure keeps the first error', () => {
  const fails = states.filter(([, { Type }]) => Type === 'Fail');
  const ends = [
    ...fails.map(([, { Error: error, Cause: cause }]) => ({ error, cause })),
    ...redrivableEnds.map(([, { Arguments }]) => ({
      error: Arguments?.Payload?.error,
      cause: Arguments?.Payload?.cause,
    })),
  ];
  expect(ends.length).toBeGreaterThan(5);
  for (const { error, cause } of ends) {
    expect(error).toBe('{% $firstError.error %}');
    expect(cause).toContain('$firstError.message');
  }
});

/** Seconds of all the pauses of a retrier together. */
function waited({ IntervalSeconds, BackoffRate, MaxAttempts }: State['Retry'][number]): number {
  let seconds = 0;
  for (let attempt = 0; attempt < MaxAttempts; attempt++) seconds += IntervalSeconds * BackoffRate ** attempt;
  return seconds;
}

test('"not yet" is asked again first, for as long as the table says', () => {
  const notYet: Readonly<Record<string, string>> = NOT_YET_ERRORS;
  const waits: Readonly<Record<string, Wait>> = WAITS;
  for (const [name, { Retry }] of steps) {
    const error = notYet[kebab(name)];
    const wait = waits[kebab(name)];
    const expected: Wait[] = [
      ...(error === undefined || !wait ? [] : [{ ...wait, error }]),
      ...(STOPPED_NOT_YET.functions.some((each) => each === kebab(name)) ? [STOPPED_WAIT] : []),
    ];
    const long = Retry.filter(({ MaxAttempts }) => MaxAttempts > 8);
    expect({ name, first: Retry.slice(0, long.length) }).toEqual({ name, first: long });
    expect({ name, errors: long.map(({ ErrorEquals }) => ErrorEquals) }).toEqual({
      name,
      errors: expected.map((each) => [each.error]),
    });
    for (const [index, retry] of long.entries()) {
      const limit = expected[index]?.limit.toSeconds() ?? 0;
      expect(waited(retry)).toBeGreaterThanOrEqual(limit);
      expect(waited(retry)).toBeLessThan(limit * 1.05);
    }
  }
});

test('a function that was stopped is waited for as long as any task may take', () => {
  const longest = Math.max(...steps.map(([, { TimeoutSeconds = Infinity }]) => TimeoutSeconds));
  expect(longest * 1000).toBeLessThan(LONGEST_TASK_MS);
  expect(longest).toBeLessThan(STOPPED_WAIT.limit.toSeconds());
});

test('whenever it is done, "not yet" is seen to be over within 3 % of the time waited, or 20 seconds; with nobody waiting, both', () => {
  const nobodyWaits = [
    'FinishSettings',
    'FinishRename',
    'Retire',
    'Discard',
    'EndDrill',
    'CleanUp',
    'Hydrate',
  ];
  const waiting = steps.filter(([name]) => kebab(name) in NOT_YET_ERRORS);
  expect(waiting.length).toBeGreaterThan(5);
  for (const [name, { Retry }] of waiting) {
    const [
      { IntervalSeconds, BackoffRate, MaxAttempts } = { IntervalSeconds: 0, BackoffRate: 0, MaxAttempts: 0 },
    ] = Retry;
    let seconds = 0;
    for (let attempt = 0; attempt < MaxAttempts; attempt++) {
      const pause = IntervalSeconds * BackoffRate ** attempt;
      const late = nobodyWaits.includes(name) ? 0.03 * seconds + 20 : Math.max(0.03 * seconds, 20);
      expect({ name, late: pause > late }).toEqual({ name, late: false });
      seconds += pause;
    }
  }
});

test('what passes by itself is asked again, with backoff', () => {
  for (const [name, { Retry }] of steps) {
    const retried = Retry.filter(({ BackoffRate }) => BackoffRate >= 2).flatMap(
      ({ ErrorEquals }) => ErrorEquals,
    );
    expect({ name, missing: PASSING_ERRORS.filter((error) => !retried.includes(error)) }).toEqual({
      name,
      missing: [],
    });
  }
});

test('final errors are never asked again', () => {
  const final = ['States.ALL', 'States.TaskFailed', 'InvalidInput', 'LiveInstanceUnclear'];
  for (const [name, { Retry }] of steps)
    for (const { ErrorEquals } of Retry)
      expect({ name, retried: ErrorEquals.filter((error) => final.includes(error)) }).toEqual({
        name,
        retried: [],
      });
});

test('the longest possible recovery stays below 25,000 events and the timeout of the machine', () => {
  // Each attempt: scheduled, started, failed; each state: entered, exited.
  // Warm is called again up to 200 times, with a choice between.
  let events = 200 * 8;
  // Drain is asked again up to 16 times, each time once or as long as somebody is connected (then nothing is left of the 15 minutes that
  // Retire waits), with some 35 tries of Retire and a choice between.
  // Soak looks up to 121 times: alarms, look, two choices, a wait.
  events += 121 * 16;
  events += 16 * (2 * 5 + 2 + 3 * 180);
  let seconds = 0;
  // A rename, which restores, warms, watches and retires nothing, is far shorter; no recovery comes to these.
  const ofARename = /^(Rename|AskForRename|FinishRename|NotifyRename.*|NotifyOutage)/;
  for (const [name, { Retry, TimeoutSeconds = 0 }] of tasks) {
    if (ofARename.test(name)) continue;
    events += 5;
    seconds += TimeoutSeconds;
    const isAskedOnce = Retry[0]?.ErrorEquals.includes('States.Timeout') && Retry[0].MaxAttempts === 0;
    for (const retrier of Retry) {
      const { MaxAttempts, BackoffRate, MaxDelaySeconds, ErrorEquals } = retrier;
      if (ErrorEquals.includes('NewAddressNotReached')) continue;
      events += 3 * MaxAttempts;
      seconds += isAskedOnce ? 0 : MaxAttempts * TimeoutSeconds;
      seconds += BackoffRate >= 2 ? MaxAttempts * MaxDelaySeconds : waited(retrier);
    }
  }
  expect(events).toBeLessThan(25_000);
  expect(seconds).toBeLessThan(machine.TimeoutSeconds);
});

test('logs no execution data', () => {
  expect(properties['LoggingConfiguration']).toMatchObject({ Level: 'ALL', IncludeExecutionData: false });
});
