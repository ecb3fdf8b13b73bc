import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { anchorOf, ROOT, sectionsOf } from './markdown';

const documents = readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.md'))
  .map((name) => join('docs', name));
const records = documents.filter((name) => dirname(name) === join('docs', 'decisions')).sort();

test.each(documents)('every link in %s leads to a file, and to a heading of it', (document) => {
  const text = readFileSync(join(ROOT, document), 'utf8');
  const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)];
  for (const [, path = '', anchor] of links) {
    const target = path === '' ? join(ROOT, document) : join(ROOT, dirname(document), path);
    expect(() => readFileSync(target)).not.toThrow();
    if (anchor !== undefined)
      expect(sectionsOf(relative(ROOT, target)).map(({ heading }) => anchorOf(heading))).toContain(anchor);
  }
});

// A gap is a record that is still being written on another branch.
test('decisions have each a number of their own, the same in file name and heading', () => {
  expect(records.length).toBeGreaterThan(0);
  const numbers = records.map((record) => Number(/(\d{4})-[a-z0-9-]+\.md$/.exec(record)?.[1]));
  expect(numbers).toEqual([...new Set(numbers)].filter((number) => number > 0));
  for (const [index, record] of records.entries())
    expect(sectionsOf(record)[0]).toMatchObject({
      level: 1,
      heading: expect.stringMatching(new RegExp(`^${numbers[index] ?? 0}\\. `)) as string,
    });
});
