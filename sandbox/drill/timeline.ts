import ora from 'ora';
import colors from 'picocolors';
import type { Clock } from '../core/clock';

/**
 * What a person sees while the drill runs: one line per step, with how long it took here and, where the sandbox's clock
 * jumped over waiting, how long it would take on AWS. On a terminal the running step has a spinner; elsewhere plain lines.
 */
export class Timeline {
  constructor(
    private readonly stream: NodeJS.WritableStream & { readonly isTTY?: boolean },
    private readonly clock: Clock,
  ) {}

  heading(text: string): void {
    this.stream.write(`\n${colors.bold(text)}\n`);
  }

  note(text: string): void {
    this.stream.write(`  ${colors.dim(text)}\n`);
  }

  /** Runs a step; `update` says meanwhile what it is doing, and what the step returns is shown behind its title. */
  async step<T>(
    title: string,
    work: (update: (text: string) => void) => Promise<T>,
    show: (result: T) => string = () => '',
  ): Promise<T> {
    const line = this.start(title);
    try {
      const result = await work((text) => {
        line.update(text);
      });
      line.succeed(show(result));
      return result;
    } catch (error) {
      line.fail(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  /** A line that is open until it succeeds or fails: for what others do, as the states of a machine. */
  start(title: string): {
    update(text: string): void;
    succeed(detail?: string): void;
    fail(detail: string): void;
  } {
    const began = { real: Date.now(), clock: this.clock.now().getTime() };
    const open = this.stream.isTTY ? this.spinner(title) : this.plain(title);
    const ended = (detail: string): string => {
      const real = Date.now() - began.real;
      const shown = this.clock.now().getTime() - began.clock;
      const time = shown - real > 1000 ? `${duration(real)} here, ${duration(shown)} on AWS` : duration(real);
      return `${title} ${colors.dim(`(${time})`)}${detail === '' ? '' : `\n      ${colors.cyan(detail)}`}`;
    };
    return {
      update: (text) => {
        open.update(`${title} ${colors.dim(text)}`);
      },
      succeed: (detail = '') => {
        open.end(colors.green('✔'), ended(detail));
      },
      fail: (detail) => {
        open.end(colors.red('✖'), ended(detail));
      },
    };
  }

  private spinner(title: string): OpenLine {
    const spinner = ora({
      stream: this.stream,
      text: title,
      indent: 2,
      discardStdin: false,
      hideCursor: false,
    }).start();
    return {
      update: (text) => (spinner.text = text),
      end: (symbol, text) => spinner.stopAndPersist({ symbol, text }),
    };
  }

  /** For a file or a log: a line when it begins and one when it ends. */
  private plain(title: string): OpenLine {
    this.stream.write(`  … ${title}\n`);
    return {
      update: () => undefined,
      end: (symbol, text) => this.stream.write(`  ${symbol} ${text}\n`),
    };
  }
}

interface OpenLine {
  update(text: string): void;
  end(symbol: string, text: string): void;
}

/** 950 ms → `0.9 s`; 62 s → `1 min 2 s`; 3,700 s → `1 h 1 min`. */
export function duration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60) % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}
