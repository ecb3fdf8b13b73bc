/** Reads a text from its beginning to its end; what each language is made of, its parser says. */
export abstract class TextReader {
  protected at = 0;

  constructor(protected readonly text: string) {}

  /** What is thrown where it cannot be read on. */
  protected abstract invalid(): Error;

  protected peek(): string | undefined {
    return this.text[this.at];
  }

  protected take(token: string): boolean {
    if (!this.text.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }

  /** @param pattern a sticky one */
  protected match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  protected space(): boolean {
    return this.match(/\s+/y) !== undefined;
  }

  /** Throws where there is more to read. */
  protected end(): void {
    if (this.at < this.text.length) throw this.invalid();
  }
}
