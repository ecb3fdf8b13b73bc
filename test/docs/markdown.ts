import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(__dirname, '..', '..');

export interface Block {
  /** What stands behind the three backticks. */
  readonly language: string;
  readonly text: string;
}

export interface Section {
  readonly heading: string;
  readonly level: number;
  readonly blocks: readonly Block[];
  /** Rows of its tables without their heads, each cell without backticks. */
  readonly rows: readonly (readonly string[])[];
}

/** A document of this repository, section by section. */
export function sectionsOf(path: string): Section[] {
  const sections: { heading: string; level: number; blocks: Block[]; rows: string[][] }[] = [];
  let open: { language: string; lines: string[]; indent: number } | undefined;
  let head = true;
  for (const line of readFileSync(join(ROOT, path), 'utf8').split('\n')) {
    const [, indent = '', language] = /^( *)```(\w*)$/.exec(line) ?? [];
    if (language !== undefined) {
      if (open) sections.at(-1)?.blocks.push({ language: open.language, text: open.lines.join('\n') });
      open = open ? undefined : { language, lines: [], indent: indent.length };
      continue;
    }
    if (open) {
      open.lines.push(line.slice(open.indent));
      continue;
    }
    const [, marks, heading] = /^(#+) (.*)$/.exec(line) ?? [];
    if (marks !== undefined && heading !== undefined)
      sections.push({ heading, level: marks.length, blocks: [], rows: [] });
    if (!line.startsWith('|')) head = true;
    else if (/^\|[ :|-]+\|$/.test(line)) head = false;
    else if (!head) sections.at(-1)?.rows.push(cells(line));
  }
  return sections;
}

function cells(line: string): string[] {
  return line
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim().replaceAll('`', ''));
}

/** How GitHub names the anchor of a heading. */
export function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}
