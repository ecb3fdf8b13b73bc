const MAX_LINES = 5_000;

/** The last lines of a function's log group, kept in memory. */
export class FunctionLog {
  private readonly lines: string[] = [];

  append(line: string): void {
    this.lines.push(line);
    if (this.lines.length > MAX_LINES) this.lines.splice(0, this.lines.length - MAX_LINES);
  }

  read(): readonly string[] {
    return [...this.lines];
  }
}
