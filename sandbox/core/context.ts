import type { Account, Callers } from './account';
import type { Api } from './api';
import type { Clock } from './clock';
import type { Lasting } from './state-directory';

/** What every part of the sandbox gets: the account it plays, its time, its API and a directory of its own on disk. */
export interface SandboxContext {
  readonly account: Account;
  readonly clock: Clock;
  readonly callers: Callers;
  /** For calls from inside the sandbox to any service. A virtual clock holds still during every call. */
  readonly api: Api;
  /** Private directory of this sandbox; each part makes a subdirectory named after itself. */
  readonly directory: string;
  /** `http://127.0.0.1:<port>`: where this sandbox answers. */
  readonly endpoint: string;
  /**
   * Keeps a part's state on disk, if the sandbox has a state directory: called once, when the part is made, and takes up what
   * an earlier process left.
   */
  readonly keep: <State>(name: string, part: Lasting<State>) => void;
  /** The sandbox's own log: one line per event, no secrets. */
  readonly log: (line: string) => void;
}
