import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseFaultPlan, readFaultPlan, type FaultPlanInput } from '../../../sandbox/faults/plan';

/** The lines with which a plan is refused. */
function refusal(plan: unknown): string[] {
  try {
    parseFaultPlan(plan);
  } catch (error) {
    if (error instanceof Error && error.name === 'InvalidFaultPlan')
      return error.message.split('\n').slice(1);
    throw error;
  }
  return [];
}

const at = { operation: 'rds:DeleteDBInstance' };

test('what has a default may be left out', () => {
  const plan: FaultPlanInput = { faults: [{ fault: 'kill', at }] };
  expect(parseFaultPlan(plan)).toEqual({ faults: [{ fault: 'kill', at, when: 'before' }], rates: {} });
});

test.each([
  ['not a list', { faults: {} }, 'faults: Invalid input: expected array'],
  ['a field that there is not', { fault: [] }, 'the whole: Unrecognized key: "fault"'],
  ['a fault that there is not', { faults: [{ fault: 'bang', at }] }, 'faults[0].fault: '],
  [
    'no service',
    { faults: [{ fault: 'kill', at: { operation: 'DeleteDBInstance' } }] },
    'faults[0].at.operation: "DeleteDBInstance" is not service:operation',
  ],
  [
    'a misspelt operation',
    { faults: [{ fault: 'kill', at: { operation: 'rds:DeleteDbInstance' } }] },
    'rds has no operation "DeleteDbInstance". Is it DeleteDBInstance?',
  ],
  [
    'a misspelt member',
    { faults: [{ fault: 'kill', at: { ...at, with: { DbInstanceIdentifier: 'x' } } }] },
    'faults[0].at.with.DbInstanceIdentifier: rds:DeleteDBInstance has no such member',
  ],
  [
    'two ways to count',
    { faults: [{ fault: 'kill', at: { ...at, call: 2, every: 3 } }] },
    'faults[0].at.every: call and every exclude each other',
  ],
  [
    'times of nothing',
    { faults: [{ fault: 'kill', at: { ...at, times: 2 } }] },
    'faults[0].at.times: needs "every"',
  ],
  ['a zeroth call', { faults: [{ fault: 'kill', at: { ...at, call: 0 } }] }, 'faults[0].at.call: Too small'],
  [
    'an error of another operation',
    { faults: [{ fault: 'error', at, code: 'DBParameterGroupNotFound', message: '' }] },
    'faults[0].code: rds:DeleteDBInstance has no error "DBParameterGroupNotFound". It has: ',
  ],
  [
    'an error that not every operation has',
    { faults: [{ fault: 'error', at: { operation: '*' }, code: 'DBInstanceNotFound', message: '' }] },
    'faults[0].code: "DBInstanceNotFound" is not an error of every operation',
  ],
  [
    'a status that it cannot end in',
    { faults: [{ fault: 'failed status', at, status: 'available' }] },
    'faults[0].status: ',
  ],
  [
    'a part of another operation',
    { faults: [{ fault: 'failed status', at, status: 'failed', part: 'rename' }] },
    'faults[0].part: "rename" is none of: delete, snapshot',
  ],
  [
    'a status of what has none',
    { faults: [{ fault: 'failed status', at: { operation: 'rds:DescribeDBInstances' }, status: 'failed' }] },
    'faults[0].at.operation: only these end in a status: ',
  ],
  ['a rate of no service', { rates: { dynamodb: 5 } }, 'rates'],
  ['a rate of nothing', { rates: { rds: 0 } }, 'rates.rds: Too small'],
])('refuses %s and names the field', (_what, plan, line) => {
  expect(refusal(plan)).toEqual([expect.stringContaining(line)]);
});

test.each([
  ['the SDK’s name', 'InvalidDBInstanceStateFault'],
  ['the name on the wire', 'InvalidDBInstanceState'],
  ['an error that every operation has', 'ServiceUnavailable'],
  ['the service’s own way to throttle', 'Throttling'],
])('takes %s', (_what, code) => {
  expect(refusal({ faults: [{ fault: 'error', at, code, message: 'no' }] })).toEqual([]);
});

test('says every field that is wrong at once', () => {
  expect(refusal({ faults: [{ fault: 'kill', at, when: 'during' }, { fault: 'throttling' }] })).toEqual([
    expect.stringContaining('faults[0].when: '),
    expect.stringContaining('faults[1].at: '),
  ]);
});

describe('a file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'fault-plan-'));
  const file = join(directory, 'plan.json');
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  test('is read', async () => {
    writeFileSync(file, JSON.stringify({ faults: [{ fault: 'throttling', at }] }));
    expect(await readFaultPlan(file)).toEqual({ faults: [{ fault: 'throttling', at }], rates: {} });
  });

  test('that is no JSON, or not there, is named', async () => {
    writeFileSync(file, '{');
    await expect(readFaultPlan(file)).rejects.toThrow(`The fault plan ${file} cannot be read: `);
    await expect(readFaultPlan(`${file}.gone`)).rejects.toThrow('ENOENT');
  });
});
