import { hintOfFullDisk } from '../../sandbox/full-disk';

test('a disk that is full is named, and what to do', () => {
  const free = (megabytes: number) => () => ({ bsize: 4096, bavail: megabytes * 256 });
  expect(hintOfFullDisk('/tmp', free(3))).toBe(
    'HINT: 3 MB are free in /tmp. Set TMPDIR to a directory with 1 GB.',
  );
  expect(hintOfFullDisk('/tmp', free(500))).toBeUndefined();
});
