import {
  EventBridgeClient,
  PutEventsCommand,
  PutRuleCommand,
  PutTargetsCommand,
} from '@aws-sdk/client-eventbridge';
import {
  CreateScheduleCommand,
  DeleteScheduleCommand,
  GetScheduleCommand,
  SchedulerClient,
} from '@aws-sdk/client-scheduler';
import { VirtualClock } from '../../../sandbox/core/clock';
import { EventsService } from '../../../sandbox/events/service';
import { parseExpression } from '../../../sandbox/scheduler/expression';
import { SchedulerService } from '../../../sandbox/scheduler/service';
import { scripted, serve, type Served } from '../wire/served';

const FUNCTION = 'arn:aws:lambda:eu-central-1:123456789012:function:production-prune';

function services() {
  return { lambda: scripted('lambda', { Invoke: () => ({ StatusCode: 202 }) }) };
}

describe('schedules and events', () => {
  let served: Served<ReturnType<typeof services> & { scheduler: SchedulerService; events: EventsService }>;
  const clock = new VirtualClock();

  beforeAll(async () => {
    served = await serve(
      (context) => ({
        ...services(),
        scheduler: new SchedulerService(context),
        events: new EventsService(context),
      }),
      clock,
    );
  });
  afterAll(() => served.close());

  it('invokes the target whenever the schedule says, until it is deleted', async () => {
    const client = new SchedulerClient(served.client);
    await client.send(
      new CreateScheduleCommand({
        Name: 'nightly',
        ScheduleExpression: 'rate(1 day)',
        FlexibleTimeWindow: { Mode: 'OFF' },
        Target: { Arn: FUNCTION, RoleArn: 'arn:aws:iam::123456789012:role/scheduler', Input: '{"a":1}' },
      }),
    );
    expect(await client.send(new GetScheduleCommand({ Name: 'nightly' }))).toMatchObject({
      State: 'ENABLED',
    });
    const { inputs } = served.services.lambda;
    await clock.advance(3 * 86_400_000 + 1000);
    expect(inputs).toHaveLength(3);
    expect(inputs[0]).toMatchObject({ FunctionName: FUNCTION, InvocationType: 'Event' });
    await client.send(new DeleteScheduleCommand({ Name: 'nightly' }));
    await clock.advance(3 * 86_400_000);
    expect(inputs).toHaveLength(3);
  });

  it('sends events that fit a rule to its targets', async () => {
    const client = new EventBridgeClient(served.client);
    const { inputs } = served.services.lambda;
    const before = inputs.length;
    await client.send(
      new PutRuleCommand({
        Name: 'failed',
        EventPattern: '{"source":["test"],"detail":{"status":[{"prefix":"FAIL"}]}}',
      }),
    );
    await client.send(new PutTargetsCommand({ Rule: 'failed', Targets: [{ Id: '1', Arn: FUNCTION }] }));
    for (const status of ['SUCCEEDED', 'FAILED'])
      await client.send(
        new PutEventsCommand({
          Entries: [{ Source: 'test', DetailType: 't', Detail: JSON.stringify({ status }) }],
        }),
      );
    expect(inputs).toHaveLength(before + 1);
    expect(served.services.events.events).toHaveLength(2);
    await expect(
      client.send(new PutRuleCommand({ Name: 'x', EventPattern: '{"source":[{"cidr":"10.0.0.0/8"}]}' })),
    ).rejects.toMatchObject({ name: 'NotImplementedInSandbox' });
  });
});

describe('schedule expressions', () => {
  const after = new Date('2026-03-28T12:00:00Z');
  it.each([
    ['cron(0 3 * * ? *)', 'UTC', '2026-03-29T03:00:00.000Z'],
    // The clocks of Berlin skip 02:30 on 29 March.
    ['cron(30 2 * * ? *)', 'Europe/Berlin', '2026-03-30T00:30:00.000Z'],
    ['cron(0 3 ? * SUN *)', 'Europe/Berlin', '2026-03-29T01:00:00.000Z'],
    ['cron(0/20 * * * ? *)', 'UTC', '2026-03-28T12:20:00.000Z'],
    ['cron(0 0 L * ? *)', 'UTC', '2026-03-31T00:00:00.000Z'],
    ['cron(0 0 ? * 2#1 *)', 'UTC', '2026-04-06T00:00:00.000Z'],
    ['cron(0 0 29 2 ? *)', 'UTC', '2028-02-29T00:00:00.000Z'],
    ['at(2026-11-21T10:00:00)', 'America/New_York', '2026-11-21T15:00:00.000Z'],
    ['rate(5 minutes)', 'UTC', '2026-03-28T12:05:00.000Z'],
  ])('%s in %s', (expression, zone, expected) => {
    expect(parseExpression(expression, zone, after)(after)?.toISOString()).toBe(expected);
  });

  it.each(['cron(0 3 * * * *)', 'cron(61 3 * * ? *)', 'rate(0 minutes)', 'every day'])(
    'refuses %s',
    (text) => {
      expect(() => parseExpression(text, 'UTC', after)).toThrow('Invalid Schedule Expression');
    },
  );
});
