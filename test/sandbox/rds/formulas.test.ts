import { checkFormula, evaluateFormula, isFormula } from '../../../sandbox/rds/formulas';

const settings = { instanceClass: 'db.m7g.large', allocatedStorage: 20, port: 5433 };

it.each([
  ['LEAST({DBInstanceClassMemory/9531392},5000)', 901],
  ['{DBInstanceClassMemory/32768}', 262_144],
  ['{DBInstanceClassMemory*3/4}', 6_442_450_944],
  ['GREATEST({DBInstanceClassMemory/1073741824*32},200)', 256],
  ['SUM({DBInstanceVCPU*2}, 3, LEAST(7,9))', 14],
  ['{EndPointPort}', 5433],
  ['{AllocatedStorage/1073741824}', 20],
  ['{TrueIfReplica}', 0],
])('%s is %d', (formula, value) => {
  expect(isFormula(formula)).toBe(true);
  expect(evaluateFormula(formula, settings)).toBe(value);
});

it.each(['{DBInstanceMemory/2}', '{1+2}', 'LEAST({DBInstanceClassMemory/2}', '{}'])(
  '%s is refused',
  (formula) => {
    expect(() => {
      checkFormula(formula);
    }).toThrow(expect.objectContaining({ name: 'InvalidParameterValue' }) as Error);
  },
);

it('refuses by name a class that it knows nothing of', () => {
  expect(() =>
    evaluateFormula('{DBInstanceClassMemory}', { ...settings, instanceClass: 'db.z1d.large' }),
  ).toThrow(/does not implement formulas in parameters for the instance class db\.z1d\.large/);
});
