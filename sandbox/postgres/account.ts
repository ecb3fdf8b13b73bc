import { chmod, chown, lstat, mkdir, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PostgresNotUsable } from './errors';

/** The operating system's account that PostgreSQL runs as. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/**
 * PostgreSQL refuses to run as root: as root it runs as `nobody`, else (undefined) as whoever runs the sandbox.
 * @throws PostgresNotUsable when root has no `nobody` to turn to.
 */
export async function serverAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const [, , uid, gid] = passwd.match(/^nobody:.*$/m)?.[0].split(':') ?? [];
  if (uid === undefined || gid === undefined)
    throw new PostgresNotUsable('PostgreSQL refuses to run as root, and there is no account to run it as.', {
      evidence: '/etc/passwd has no entry "nobody".',
      hint: 'Run the sandbox as a normal user, or add the account "nobody".',
    });
  return { uid: Number(uid), gid: Number(gid) };
}

function permits(
  { uid, gid, mode }: { uid: number; gid: number; mode: number },
  account: Account,
  bits: number,
): boolean {
  if (uid === account.uid) return ((mode >> 6) & bits) === bits;
  if (gid === account.gid) return ((mode >> 3) & bits) === bits;
  return (mode & bits) === bits;
}

/** What keeps `account` from reading `path` (and from running it, where its owner can): undefined if nothing does. */
export async function obstacle(path: string, account: Account): Promise<string | undefined> {
  const target = await stat(path);
  const bits = target.isDirectory() || (target.mode & 0o100) !== 0 ? 5 : 4;
  if (!permits(target, account, bits)) return path;
  return obstacleAbove(path, account);
}

async function obstacleAbove(path: string, account: Account): Promise<string | undefined> {
  for (let above = dirname(path); ; above = dirname(above)) {
    if (!permits(await stat(above), account, 1)) return above;
    if (above === dirname(above)) return undefined;
  }
}

/**
 * Makes a directory for PostgreSQL, with the directories above it.
 * @throws PostgresNotUsable when the account cannot get there.
 */
export async function makeServerDirectory(path: string, account: Account | undefined): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o755 });
  if (account === undefined) {
    await chmod(path, 0o700);
    return;
  }
  // What was made here is passable whatever the umask; what was there before is not this module's to change.
  if (first !== undefined)
    for (let made = dirname(path); made.length >= first.length; made = dirname(made))
      await chmod(made, 0o711);
  await chown(path, account.uid, account.gid);
  await chmod(path, 0o700);
  const bar = await obstacleAbove(path, account);
  if (bar === undefined) return;
  const { mode } = await lstat(bar);
  throw new PostgresNotUsable(`PostgreSQL cannot use the directory ${path}.`, {
    evidence: `As root PostgreSQL runs as "nobody" (uid ${account.uid}), who may not pass through ${bar} (mode ${(mode & 0o777).toString(8)}).`,
    hint: `chmod o+x '${bar}', or let the sandbox use another directory (TMPDIR).`,
  });
}
