import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTeamCheck, readTeamChecks } from '../../lib/team-checks';

const FIXTURES = join(__dirname, 'checks');

test('a folder of checks, with their headers or without', () => {
  expect(readTeamChecks(FIXTURES)).toEqual([
    {
      name: 'orders-have-lines.sql',
      severity: 'warning',
      timeoutSeconds: 120,
      sql: expect.stringMatching(/^-- severity: warning[^]*not exists/) as unknown,
    },
    {
      name: 'quoted.sql',
      severity: 'error',
      timeoutSeconds: 30,
      sql: expect.stringContaining('; drop table') as unknown,
    },
  ]);
});

test('no folder, no checks; the checks that come with this project can be read', () => {
  expect(readTeamChecks(join(FIXTURES, 'none'))).toEqual([]);
  expect(readTeamChecks(join(__dirname, '../../checks')).length).toBeGreaterThan(0);
});

test.each([
  ['a.sql', '-- sevrity: error\nselect 1', 'line 1: there is no header "sevrity"'],
  ['a.sql', '-- severity: fatal\nselect 1', 'severity: got "fatal", allowed is error or warning'],
  [
    'a.sql',
    '-- severity: error\n-- severity: error\nselect 1',
    'line 2: the header "severity" is there twice',
  ],
  ['a.sql', '-- timeout: 30\nselect 1', 'timeout: got "30", allowed is 1s to 5m'],
  ['a.sql', '-- timeout: 0s\nselect 1', 'timeout: got "0s"'],
  ['a.sql', '-- timeout: 6m\nselect 1', 'timeout: got "6m"'],
  ['a.sql', 'select 1\n-- severity: warning', 'line 2: the header "severity" must stand above the query'],
  ['a.sql', '-- only words\n\n', 'has no query'],
  ['a.sql', 'select 1; select 2', 'more than one statement'],
  ['a.sql', 'delete from task', 'begins with "delete from task"'],
  ['Orders have lines.sql', 'select 1', 'is no name for a check'],
  ['orders.SQL', 'select 1', 'is no name for a check'],
  ['notes.txt', 'select 1', 'is no name for a check'],
])('%s with %j is refused', (name, text, message) => {
  expect(() => parseTeamCheck(name, text)).toThrow(`checks/${name}: `);
  expect(() => parseTeamCheck(name, text)).toThrow(message);
});

test('all checks together must fit into the time of the function', () => {
  const directory = mkdtempSync(join(tmpdir(), 'checks-'));
  try {
    for (const name of ['a.sql', 'b.sql'])
      writeFileSync(join(directory, name), '-- timeout: 5m\nselect 1 where false');
    expect(() => readTeamChecks(directory)).toThrow('may take 600 seconds together, allowed are 360');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
