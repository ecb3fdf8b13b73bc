import type { CompositeAlarm } from '@aws-sdk/client-cloudwatch';
import { z } from 'zod';
import { SoakEvent } from '../../lambdas/contract/retirement';
import { ApiError } from '../../sandbox/core/api';
import { LIVE, PlayedMachine, Thrown, type Answer } from './played-machine';

const INPUT = {
  mode: 'recover',
  reason: 'checkout broken since 10:02',
  requestedBy: 'ada@example.com',
  retire: 'delete',
  approveRetirement: true,
};
const connected = new Thrown(
  'StillConnected',
  'Still connected to production-database: 1 of role app (web).',
);

// GIVEN the recovery machine, and functions that answer what a test says
let machine: PlayedMachine;
beforeAll(async () => {
  machine = await PlayedMachine.start();
});
afterAll(() => machine.stop());

/** Answers of functions that write down in which order they were asked. */
function recording(answers: Readonly<Record<string, Answer>>): {
  answers: Record<string, Answer>;
  asked: string[];
} {
  const asked: string[] = [];
  const entries = Object.entries(answers).map(([name, answer]): [string, Answer] => [
    name,
    (event, call) => {
      asked.push(name);
      return answer(event, call);
    },
  ]);
  return { answers: Object.fromEntries(entries), asked };
}

const drained: Answer = (_event, call) => ({ sessions: 0, at: `2026-11-22T02:00:0${call}.000Z` });
const fenced: Answer = () => ({ fenced: ['app'], notFenced: [], checks: [], preparedTransactions: 0 });
const retired: Answer = () => ({ retired: 'deleted', instanceId: LIVE.instanceId, finalSnapshotId: 'final' });
const saysYes = (): 'approve' => 'approve';

test('after a yes it is looked again that nobody is connected, then the old instance goes', async () => {
  const { answers, asked } = recording({ drain: drained, retire: retired });
  const { status, messages } = await machine.run(INPUT, answers, saysYes);
  expect(status).toBe('SUCCEEDED');
  expect(asked).toEqual(['drain', 'drain', 'retire']);
  // Asked once: the second look does not ask a person again.
  expect(messages.filter(({ subject }) => subject.includes('DELETE THE OLD DATABASE?'))).toHaveLength(1);
});

test('a session that comes to the old instance while the approval waits stops the retirement', async () => {
  const { answers, asked } = recording({
    drain: (event, call) => {
      if (call > 1) throw connected;
      return drained(event, call);
    },
    retire: retired,
  });
  const ended = await machine.run(INPUT, answers, saysYes);
  expect(ended).toMatchObject({ status: 'FAILED', error: 'StillConnected' });
  expect(ended.cause).toContain('1 of role app (web)');
  expect(ended.cause).toContain('production-database is kept');
  // 30 minutes, every 10 seconds.
  expect(asked.length).toBeGreaterThan(180);
  expect(asked).not.toContain('retire');

  // Redriven once it has gone: looked at again, and a person is asked again, for the yes may be days old.
  const again = recording({ drain: drained, retire: retired });
  const { status, messages } = await machine.redrive(ended.executionArn, again.answers);
  expect(status).toBe('SUCCEEDED');
  expect(again.asked).toEqual(['drain', 'drain', 'retire']);
  expect(messages.filter(({ subject }) => subject.includes('DELETE THE OLD DATABASE?'))).toHaveLength(1);
});

const FirstTime = z.object({ drainedAt: z.string().nullable() });

/** As the step: deletes only where Drain has looked since the execution was redriven. */
const retiring: Answer = (event, call) => {
  if (FirstTime.parse(event).drainedAt === null) throw new Thrown('DrainOutdated', 'Not since the redrive.');
  return retired(event, call);
};

test('a yes does not outlive a redrive, at whatever state it goes on, and without one nothing is deleted', async () => {
  const quota = new Thrown('SnapshotQuotaExceeded', 'No room for the final snapshot.');
  const full: Answer = () => {
    throw quota;
  };
  const { answers } = recording({ drain: drained, retire: full });
  const ended = await machine.run(INPUT, answers, saysYes);
  expect(ended).toMatchObject({ status: 'FAILED', error: 'SnapshotQuotaExceeded' });

  // Days later nobody answers.
  const unanswered = recording({ drain: drained, retire: retiring });
  const redriven = await machine.redrive(ended.executionArn, unanswered.answers, () => undefined);
  expect(redriven).toMatchObject({ status: 'FAILED', error: 'NotApproved' });
  // Retire had failed, so it is asked first: whether it had begun to delete only RDS knows.
  expect(unanswered.asked).toEqual(['retire', 'drain']);

  const again = recording({ drain: drained, retire: retiring });
  expect(await machine.redrive(ended.executionArn, again.answers, saysYes)).toMatchObject({
    status: 'SUCCEEDED',
  });
  expect(again.asked).toEqual(['drain', 'retire']);
});

test('a yes of six hours ago is asked for again, one of a few hours is not', async () => {
  const now = (): number => machine.served.context.clock.now().getTime();
  const start = now();
  const hours = 3_600_000;
  const drains: number[] = [];
  const { answers } = recording({
    drain: (event, call) => {
      drains.push(now() - start);
      return drained(event, call);
    },
    // RDS does not delete it for eight hours; the machine looks again who is connected after three and a half.
    retire: (event, call) => {
      if (now() - start > 8 * hours) return retired(event, call);
      if (now() - start - (drains.at(-1) ?? 0) > 3.5 * hours) throw new Thrown('DrainOutdated', 'Hours ago.');
      throw new Thrown('RetirementNotFinished', 'RDS does not delete it now.');
    },
  });
  const { status, messages } = await machine.run(INPUT, answers, saysYes);
  expect(status).toBe('SUCCEEDED');
  expect(drains.map((each) => Math.round(each / hours))).toEqual([0, 0, 4, 7, 7]);
  expect(messages.filter(({ subject }) => subject.includes('DELETE THE OLD DATABASE?'))).toHaveLength(2);
});

test('a look that was too long ago is made again, with what it saw', async () => {
  const times: unknown[] = [];
  const { answers, asked } = recording({
    drain: drained,
    retire: (event, call) => {
      times.push(event);
      if (call === 1) throw new Thrown('DrainOutdated', 'Nobody was connected an hour ago.');
      return retired(event, call);
    },
  });
  expect(await machine.run({ ...INPUT, approveRetirement: false }, answers)).toMatchObject({
    status: 'SUCCEEDED',
  });
  expect(asked).toEqual(['drain', 'retire', 'drain', 'retire']);
  expect(times).toMatchObject([
    { drainedAt: '2026-11-22T02:00:01.000Z' },
    { drainedAt: '2026-11-22T02:00:02.000Z' },
  ]);
});

test('it is not made again for ever, and a redrive begins anew', async () => {
  const never: Answer = () => {
    throw new Thrown('DrainOutdated', 'Nobody was connected an hour ago.');
  };
  const { answers, asked } = recording({ drain: () => drained({}, 1), retire: never });
  const ended = await machine.run({ ...INPUT, approveRetirement: false }, answers);
  expect(ended).toMatchObject({ status: 'FAILED', error: 'DrainOutdated' });
  expect(asked.filter((name) => name === 'drain')).toHaveLength(17);
  let tries = 0;
  const again = recording({
    drain: () => drained({}, 1),
    retire: (event, call) => (++tries < 10 ? never(event, call) : retired(event, call)),
  });
  expect(await machine.redrive(ended.executionArn, again.answers)).toMatchObject({ status: 'SUCCEEDED' });
});

describe('a recovery that soaks', () => {
  const SOAKS = { ...INPUT, approveRetirement: false, soakMinutes: 3, soakAlarms: [] };
  /** As the step answers: enough when `problems` are found, or at the third look. */
  const look =
    (problems: (looks: number) => string[]): Answer =>
    (event) => {
      const { soak } = z.object({ soak: z.nullable(z.object({ looks: z.number() })) }).parse(event);
      const looks = (soak?.looks ?? 0) + 1;
      const found = problems(looks);
      return {
        since: '2026-11-22T02:00:00.000Z',
        until: '2026-11-22T02:03:00.000Z',
        looks,
        first: { deadlocks: null, oldWrites: null, sessions: null },
        last: null,
        findings: [],
        problems: found,
        enough: found.length > 0 || looks === 3,
        pauseSeconds: 60,
      };
    };

  test('looks again with what it saw before, a minute later, then drains once more and retires unasked', async () => {
    const { answers, asked } = recording({ drain: drained, soak: look(() => []), retire: retired });
    const started = machine.served.context.clock.now().getTime();
    const { status } = await machine.run(SOAKS, answers);
    expect(status).toBe('SUCCEEDED');
    expect(asked).toEqual(['drain', 'soak', 'soak', 'soak', 'drain', 'retire']);
    expect(machine.served.context.clock.now().getTime() - started).toBeGreaterThanOrEqual(120_000);
  });

  test.each(['delete', 'keep'])(
    'with something wrong a person is asked, where nobody would be: retire "%s"',
    async (retire) => {
      const wrong = look((looks) => (looks === 2 ? ['alarm orders-failing rings: since noon.'] : []));
      const { answers, asked } = recording({ drain: drained, soak: wrong, retire: retired });
      const { status, messages } = await machine.run({ ...SOAKS, retire }, answers, saysYes);
      expect(status).toBe('SUCCEEDED');
      expect(asked).toEqual(['drain', 'soak', 'soak', 'drain', 'retire']);
      const [question, ...others] = messages.filter(({ text }) => text.includes('-decide'));
      expect(others).toEqual([]);
      expect(question?.text).toContain('LOOK: alarm orders-failing rings: since noon.');
      expect(question?.text).toContain(
        retire === 'keep' ? 'is kept, the recovery is over.' : 'is deleted, with final snapshot',
      );
      expect(question?.subject).toBe(
        retire === 'keep' ? 'production: LOOK AT THE NEW DATABASE' : 'production: DELETE THE OLD DATABASE?',
      );
    },
  );

  test('nobody answers: nothing is retired, and a redrive asks again', async () => {
    const wrong = look(() => ['the application cannot log in: db-new: no answer.']);
    const { answers, asked } = recording({ drain: drained, soak: wrong, retire: retired });
    const ended = await machine.run(SOAKS, answers);
    expect(ended).toMatchObject({ status: 'FAILED', error: 'NotApproved' });
    expect(asked).toEqual(['drain', 'soak']);
    // What was seen is not said to work.
    const told = ended.messages.at(-1);
    expect(told?.text).toContain('LOOK: the application cannot log in: db-new: no answer.');
    expect(`${told?.text ?? ''} ${ended.cause}`).not.toContain('which works');
    const again = await machine.redrive(ended.executionArn, answers);
    expect(again).toMatchObject({ status: 'FAILED', error: 'NotApproved' });
    expect(asked).toEqual(['drain', 'soak']);
  });

  test('alarms are asked of CloudWatch and handed over; that it does not answer is, too', async () => {
    const events: unknown[] = [];
    const { answers } = recording({
      drain: drained,
      retire: retired,
      soak: (event, call) => {
        events.push(z.object({ alarms: z.unknown() }).parse(event).alarms);
        return look(() => [])(event, call);
      },
    });
    const input = { ...SOAKS, soakAlarms: ['orders-failing', 'none'] };
    let asked: unknown;
    machine.describeAlarms = (given) => {
      asked = given;
      if (events.length === 1) throw new ApiError('InternalServiceError', 'Try again.', 500);
      return {
        MetricAlarms: [
          { AlarmName: 'orders-failing', StateValue: 'OK', StateTransitionedTimestamp: new Date(0) },
        ],
        CompositeAlarms: [],
      };
    };
    expect(await machine.run(input, answers)).toMatchObject({ status: 'SUCCEEDED' });
    expect(asked).toMatchObject({
      AlarmNames: ['orders-failing', 'none'],
      AlarmTypes: ['MetricAlarm', 'CompositeAlarm'],
      MaxRecords: 100,
    });
    const seen = { seen: [{ name: 'orders-failing', state: 'OK', since: '1970-01-01T00:00:00.000Z' }] };
    expect(events).toMatchObject([seen, { problem: expect.stringContaining('Try again.') as unknown }, seen]);
  });

  test.each([
    ['composite alarms alone', []],
    ['composite alarms beside others', [{ AlarmName: 'orders-failing', StateValue: 'OK' }]],
  ] as const)('%s are handed over as others are', async (_, MetricAlarms) => {
    // As DescribeAlarms answers it, typed by the SDK.
    const shop: CompositeAlarm = {
      AlarmName: 'shop',
      AlarmArn: 'arn:aws:cloudwatch:eu-central-1:123456789012:alarm:shop',
      AlarmRule: 'ALARM("orders-failing") OR ALARM("checkout-slow")',
      ActionsEnabled: true,
      AlarmActions: [],
      OKActions: [],
      InsufficientDataActions: [],
      StateValue: 'ALARM',
      StateReason: 'arn:…:alarm:orders-failing transitioned to ALARM',
      StateUpdatedTimestamp: new Date(1000),
      StateTransitionedTimestamp: new Date(1000),
    };
    machine.describeAlarms = () => ({ MetricAlarms, CompositeAlarms: [shop] });
    const events: unknown[] = [];
    const { answers } = recording({
      drain: drained,
      retire: retired,
      soak: (event) => {
        // What the function takes.
        events.push(SoakEvent.shape.alarms.parse(z.object({ alarms: z.unknown() }).parse(event).alarms));
        return look(() => ['alarm shop rings: since noon.'])(event, 1);
      },
    });
    const input = { ...SOAKS, soakAlarms: ['orders-failing', 'shop'] };
    expect(await machine.run(input, answers, saysYes)).toMatchObject({ status: 'SUCCEEDED' });
    expect(events).toEqual([
      {
        seen: [
          ...MetricAlarms.map(({ AlarmName: name, StateValue: state }) => ({ name, state })),
          { name: 'shop', state: 'ALARM', since: '1970-01-01T00:00:01.000Z' },
        ],
      },
    ]);
  });
});

test('settings are compared once more right before the fence where that was more than a minute ago', async () => {
  const quick = recording({ 'match-settings': () => ({ settings: [] }), fence: fenced });
  expect(await machine.run(INPUT, quick.answers, saysYes)).toMatchObject({ status: 'SUCCEEDED' });
  expect(quick.asked).toEqual(['match-settings', 'fence']);

  const { answers, asked } = recording({
    'match-settings': () => ({ settings: [] }),
    // A rotation takes its time.
    'match-credentials': (_event, call) => {
      if (call < 12) throw new Thrown('CredentialsNotReady', 'A rotation is under way.');
      return { applicationRole: 'app', applicationPassword: 'already current' };
    },
    verify: () => ({ checks: [], migrations: [], migrationsTakenAway: [], quarantine: [] }),
    fence: fenced,
  });
  expect(await machine.run(INPUT, answers, saysYes)).toMatchObject({ status: 'SUCCEEDED' });
  expect(asked.filter((name) => name !== 'match-credentials')).toEqual([
    'match-settings',
    'verify',
    'match-settings',
    'fence',
  ]);
});
