import type { Check, VerificationCheck } from './contract/checks';

/**
 * The checks of a state that failed, in the message of its error: people read them there, and the record reads them back, since such
 * a state has no result. A line each, those that failed first.
 */
export function tellChecks(checks: readonly (Check & Partial<VerificationCheck>)[]): string {
  const rank = (mark: string): number => Object.keys(MARKS).indexOf(mark);
  return checks
    .map((one) => ({ ...one, mark: markOf(one) }))
    .sort((one, other) => rank(one.mark) - rank(other.mark))
    .map(({ name, detail, mark }) => `\n- ${mark} "${oneLine(name)}": ${oneLine(detail)}`)
    .concat('\n')
    .join('');
}

/** Reads them back; other text is passed over. */
export function readChecks(message: string): VerificationCheck[] {
  return [...message.matchAll(LINE)].flatMap(([, mark = '', name = '', detail = '']) => {
    const meaning = MARKS[mark];
    return meaning ? [{ name, ...meaning, detail }] : [];
  });
}

/** The message without them. */
export function withoutChecks(message: string): string {
  return message.replace(LINE, '').replace(/\n(?= Hint: )/, '');
}

const MARKS: Readonly<Record<string, Pick<VerificationCheck, 'ok' | 'severity'>>> = {
  NO: { ok: false, severity: 'error' },
  'no, a warning': { ok: false, severity: 'warning' },
  yes: { ok: true, severity: 'error' },
};
const LINE = /^- (NO|no, a warning|yes) "(.*?)": (.*)\n/gm;

function markOf({ ok, severity }: Pick<Check, 'ok'> & Partial<VerificationCheck>): string {
  if (ok) return 'yes';
  return severity === 'warning' ? 'no, a warning' : 'NO';
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
