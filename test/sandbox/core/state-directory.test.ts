import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromBytes, toBytes } from '../../../sandbox/core/plain-data';
import { StateDirectory, type Lasting } from '../../../sandbox/core/state-directory';
import { until } from '../../until';

const root = mkdtempSync(join(tmpdir(), 'state-directory-'));
let directories = 0;
const newDirectory = (): string => join(root, `state-${++directories}`);
const log = (): void => undefined;
const open: StateDirectory[] = [];

function at(directory: string): StateDirectory {
  const state = new StateDirectory(directory, log);
  open.push(state);
  return state;
}

afterEach(() => {
  for (const state of open.splice(0)) state.release();
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
});

/** A part that keeps one value. */
function part<T>(value: T): Lasting<T> & { value: T; resumed: number } {
  return {
    value,
    resumed: 0,
    save() {
      return this.value;
    },
    load(state) {
      this.value = state;
    },
    async resume() {
      this.resumed++;
    },
  };
}

async function end(state: StateDirectory): Promise<void> {
  await state.close();
  state.release();
}

const call = (operation: string, service: 'rds' | 'sts' = 'rds') => ({
  context: {
    service,
    operation,
    caller: { arn: 'arn:aws:iam::123456789012:user/x' },
    accountId: '123456789012',
    requestId: '1',
  },
  input: {},
});

describe('what parts keep', () => {
  test('comes back in a later process, with its dates, maps, sets, bytes and shared objects', async () => {
    const directory = newDirectory();
    const shared = { policy: 'p' };
    const value = {
      map: new Map([['at', new Date(7)]]),
      set: new Set([1, 2]),
      bytes: Buffer.from('bytes'),
      none: undefined,
      roles: [shared, shared],
    };
    const first = at(directory);
    expect(first.continues).toBe(false);
    first.keep('things', part(value));
    await first.resume();
    await end(first);

    const second = at(directory);
    expect(second.continues).toBe(true);
    const things = part<typeof value | undefined>(undefined);
    second.keep('things', things);
    expect(things.value).toEqual(value);
    expect(things.value?.map.get('at')).toBeInstanceOf(Date);
    expect(things.value?.roles[0]).toBe(things.value?.roles[1]);
  });

  test('is gone on with once every part is there, in their order, and only after a restart', async () => {
    const directory = newDirectory();
    const order: string[] = [];
    const named = (name: string): Lasting<number> => ({
      save: () => 1,
      load: () => void order.push(`load ${name}`),
      resume: async () => void order.push(`resume ${name}`),
    });
    for (const expected of [[], ['load a', 'load b', 'resume a', 'resume b']]) {
      order.length = 0;
      const state = at(directory);
      state.keep('a', named('a'));
      state.keep('b', named('b'));
      await state.resume();
      await end(state);
      expect(order).toEqual(expected);
    }
  });

  test('is on disk before the answer of a call that changed it, also of one that failed', async () => {
    const directory = newDirectory();
    const state = at(directory);
    const kept = part('old');
    state.keep('part', kept);
    await state.resume();
    await state.interceptor(call('CreateDBSnapshot'), async () => {
      kept.value = 'written-by-create';
      return {};
    });
    expect(readFileSync(join(directory, 'state')).includes('written-by-create')).toBe(true);
    const failing = state.interceptor(call('DeleteDBSnapshot'), async () => {
      kept.value = 'written-by-failure';
      throw new Error('the answer is lost');
    });
    await expect(failing).rejects.toThrow('the answer is lost');
    expect(readFileSync(join(directory, 'state')).includes('written-by-failure')).toBe(true);
  });

  test('is written without a call, too, soon', async () => {
    const directory = newDirectory();
    const state = at(directory);
    const kept = part('old');
    state.keep('part', kept);
    await state.resume();
    kept.value = 'changed-by-itself';
    await until(() => readFileSync(join(directory, 'state')).includes('changed-by-itself'));
  });

  test('is not written for calls that only read, but for those of STS', async () => {
    const state = at(newDirectory());
    let saves = 0;
    state.keep('part', { save: () => saves++, load: () => undefined });
    await state.resume();
    for (const [operation, service, written] of [
      ['DescribeDBInstances', 'rds', 0],
      ['ListTagsForResource', 'rds', 0],
      ['CreateDBSnapshot', 'rds', 1],
      ['GetSessionToken', 'sts', 1],
    ] as const) {
      const before = saves;
      await state.interceptor(call(operation, service), async () => ({}));
      expect([operation, saves - before]).toEqual([operation, written]);
    }
  });

  test('is written once for all the calls that wait for it', async () => {
    const state = at(newDirectory());
    let saves = 0;
    state.keep('part', { save: () => saves++, load: () => undefined });
    await state.resume();
    const before = saves;
    await Promise.all(
      Array.from({ length: 100 }, () => state.interceptor(call('CreateDBSnapshot'), async () => ({}))),
    );
    expect(saves - before).toBeLessThan(5);
  });

  test('is for the owner alone to read', async () => {
    const directory = newDirectory();
    const state = at(directory);
    state.keep('part', part('x'));
    expect(statSync(join(directory, 'state')).mode & 0o777).toBe(0o600);
    await state.resume();
    expect(statSync(join(directory, 'state')).mode & 0o777).toBe(0o600);
  });

  test('a write that was cut off leaves what was there before', async () => {
    const directory = newDirectory();
    const first = at(directory);
    first.keep('part', part('whole'));
    await first.resume();
    await end(first);
    writeFileSync(join(directory, 'state.new'), 'half a st');
    const second = at(directory);
    const kept = part('');
    second.keep('part', kept);
    expect(kept.value).toBe('whole');
  });

  test('nothing is written after the end', async () => {
    const directory = newDirectory();
    const state = at(directory);
    const kept = part('last');
    state.keep('part', kept);
    await state.resume();
    await state.close();
    kept.value = 'too-late';
    await state.write();
    expect(readFileSync(join(directory, 'state')).includes('too-late')).toBe(false);
  });
});

describe('a directory that can not be had', () => {
  async function filled(): Promise<string> {
    const directory = newDirectory();
    const state = at(directory);
    state.keep('part', part('x'));
    await state.resume();
    await end(state);
    return directory;
  }

  test('another sandbox works in it', async () => {
    const directory = await filled();
    at(directory);
    expect(() => at(directory)).toThrow(`the sandbox with process id ${process.pid} works in it`);
  });

  test('a process that was killed holds nothing', async () => {
    const directory = await filled();
    const { pid: living, child } = await holder(directory);
    expect(() => at(directory)).toThrow(`process id ${living} works in it`);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(at(directory).continues).toBe(true);
  });

  test('a process that has got the id of a dead one holds nothing', async () => {
    const directory = await filled();
    writeFileSync(join(directory, 'lock'), JSON.stringify({ pid: process.ppid, born: '1' }));
    expect(at(directory).continues).toBe(true);
  });

  test('a lock that was cut off holds nothing', async () => {
    const directory = await filled();
    writeFileSync(join(directory, 'lock'), '{"pi');
    expect(at(directory).continues).toBe(true);
  });

  test('something else is in it, and stays', () => {
    const directory = newDirectory();
    mkdirSync(directory);
    writeFileSync(join(directory, 'thesis.txt'), 'mine');
    expect(() => at(directory)).toThrow('neither empty nor the state of a sandbox: it has thesis.txt');
    expect(readFileSync(join(directory, 'thesis.txt'), 'utf8')).toBe('mine');
  });

  test.each([
    ['damaged', Buffer.from('nonsense'), 'its state is damaged'],
    ['empty', Buffer.alloc(0), 'its state is damaged'],
  ])('its state is %s', async (_what, bytes, message) => {
    const directory = await filled();
    writeFileSync(join(directory, 'state'), bytes);
    expect(() => at(directory)).toThrow(message);
    // The refusal holds nothing.
    expect(existsSync(join(directory, 'lock'))).toBe(false);
  });

  test('a byte in the middle of its state has changed', async () => {
    const directory = await filled();
    const bytes = readFileSync(join(directory, 'state'));
    const middle = Math.floor(bytes.length / 2);
    bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
    writeFileSync(join(directory, 'state'), bytes);
    expect(() => at(directory)).toThrow('its checksum is wrong');
  });

  test('it can not be made', () => {
    const file = newDirectory();
    writeFileSync(file, 'mine');
    for (const directory of [file, join(file, 'below'), join(newDirectory(), 'below')])
      expect(() => at(directory)).toThrow('HINT: give one whose parent directory is there');
  });

  test('another version wrote it', async () => {
    const directory = await filled();
    const saved = fromBytes(readFileSync(join(directory, 'state'))) as object;
    writeFileSync(join(directory, 'state'), toBytes({ ...saved, format: 0 }));
    expect(() => at(directory)).toThrow('another version of the sandbox wrote it');
  });

  test('a part of it is unknown', async () => {
    const state = at(await filled());
    await expect(state.resume()).rejects.toThrow('it has parts unknown here: part');
  });

  test('a part can not take up what is there', async () => {
    const state = at(await filled());
    const broken: Lasting<string> = {
      save: () => '',
      load: () => {
        throw new TypeError('no such member');
      },
    };
    expect(() => {
      state.keep('part', broken);
    }).toThrow("what part left can't be taken up (TypeError: no such member)");
  });

  test('it was moved', async () => {
    const directory = await filled();
    const moved = newDirectory();
    renameSync(directory, moved);
    expect(() => at(moved)).toThrow('HINT: move it back');
  });

  test('one whose sandbox never got ready begins anew', async () => {
    const directory = newDirectory();
    at(directory).release();
    mkdirSync(join(directory, 'postgres'));
    expect(at(directory).continues).toBe(false);
    expect(existsSync(join(directory, 'postgres'))).toBe(false);
  });
});

/** Another process that has taken the directory. */
async function holder(directory: string) {
  const module = JSON.stringify(join(__dirname, '..', '..', '..', 'sandbox', 'core', 'directory-lock.ts'));
  const child = spawn(
    process.execPath,
    [
      '--import',
      'tsx',
      '--eval',
      `require(${module}).lockDirectory(${JSON.stringify(directory)}); console.log('held'); process.stdin.on('end', () => process.exit()).resume();`,
    ],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
  return { pid: child.pid, child };
}
