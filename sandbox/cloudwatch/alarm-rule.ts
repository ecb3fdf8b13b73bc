import { ApiError, NotInSandbox } from '../core/api';
import type { AlarmState } from './evaluation';

/** The rule of a composite alarm. Plain data. */
export type AlarmRule =
  | { readonly is: 'state'; readonly state: AlarmState; readonly alarm: string }
  | { readonly is: 'constant'; readonly value: boolean }
  | { readonly is: 'NOT'; readonly rule: AlarmRule }
  | { readonly is: 'AND' | 'OR'; readonly rules: readonly AlarmRule[] };

const MOST_CHARACTERS = 10_240;
const MOST_ELEMENTS = 500;
const MOST_ALARMS = 100;
/** A name in quotes, in which a backslash takes the next character as it is; a name without; a word; a parenthesis. */
const TOKEN =
  /\s*(?:(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"((?:[^"\\]|\\.)+)"|([^()"\s]+))\s*\)|([A-Za-z_]+)|([()]))/y;

type Token =
  | { readonly rule: Extract<AlarmRule, { is: 'state' | 'constant' }> }
  | { readonly word: 'AND' | 'OR' | 'NOT' | '(' | ')' };

/**
 * Reads `ALARM("a") AND NOT (OK(b) OR TRUE)`: functions of a state with the name or ARN of an alarm, with or without quotes.
 * @throws {ApiError} as CloudWatch refuses it, or a refusal of what the sandbox does not have
 */
export function parseAlarmRule(text: string): AlarmRule {
  if (text.length > MOST_CHARACTERS) throw invalid(`it has more than ${MOST_CHARACTERS} characters`);
  const tokens = tokensOf(text);
  const elements = tokens.filter((token) => 'rule' in token || token.word === '(' || token.word === ')');
  if (elements.length > MOST_ELEMENTS) throw invalid(`it has more than ${MOST_ELEMENTS} elements`);
  let at = 0;
  const takes = (word: string): boolean => {
    const token = tokens[at];
    if (token === undefined || !('word' in token) || token.word !== word) return false;
    at += 1;
    return true;
  };
  const operand = (): AlarmRule => {
    if (takes('NOT')) return { is: 'NOT', rule: operand() };
    if (takes('(')) {
      const rule = expression();
      if (!takes(')')) throw invalid('a parenthesis is not closed');
      return rule;
    }
    const token = tokens[at++];
    if (token === undefined || !('rule' in token)) throw invalid('an alarm, TRUE or FALSE is missing');
    return token.rule;
  };
  const expression = (): AlarmRule => {
    const rules = [operand()];
    const is = takes('AND') ? 'AND' : takes('OR') ? 'OR' : undefined;
    if (is === undefined) return rules[0] ?? operand();
    do rules.push(operand());
    while (takes(is));
    if (takes('AND') || takes('OR'))
      throw new NotInSandbox('AND beside OR without parentheses (AWS does not say which comes first)');
    return { is, rules };
  };
  const rule = expression();
  if (at < tokens.length) throw invalid('something follows its end');
  if (new Set(alarmsIn(rule)).size > MOST_ALARMS) throw invalid(`it names more than ${MOST_ALARMS} alarms`);
  return rule;
}

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  for (;;) {
    const start = TOKEN.lastIndex;
    const [, state, quoted, bare, word, parenthesis] = TOKEN.exec(text) ?? [];
    if (state !== undefined) {
      const alarm = quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? '';
      tokens.push({ rule: { is: 'state', state: stateOf(state), alarm } });
    } else if (word !== undefined) tokens.push(tokenOf(word));
    else if (parenthesis === '(' || parenthesis === ')') tokens.push({ word: parenthesis });
    else {
      if (text.slice(start).trim() !== '')
        throw invalid(`"${text.slice(start).trim().slice(0, 30)}" is not understood`);
      return tokens;
    }
  }
}

function tokenOf(word: string): Token {
  switch (word.toUpperCase()) {
    case 'TRUE':
      return { rule: { is: 'constant', value: true } };
    case 'FALSE':
      return { rule: { is: 'constant', value: false } };
    case 'AND':
    case 'OR':
    case 'NOT':
      return { word: word.toUpperCase() as 'AND' | 'OR' | 'NOT' };
    case 'AT_LEAST':
      throw new NotInSandbox('alarm rules with AT_LEAST');
    default:
      throw invalid(`"${word}" is not understood`);
  }
}

function stateOf(word: string): AlarmState {
  return word === 'ALARM' || word === 'OK' ? word : 'INSUFFICIENT_DATA';
}

/** The alarms that a rule names, as it does: by name or ARN. */
export function alarmsIn(rule: AlarmRule): readonly string[] {
  switch (rule.is) {
    case 'state':
      return [rule.alarm];
    case 'constant':
      return [];
    case 'NOT':
      return alarmsIn(rule.rule);
    case 'AND':
    case 'OR':
      return rule.rules.flatMap(alarmsIn);
  }
}

/** Whether a rule is true, the alarms being as they are. */
export function isTrue(rule: AlarmRule, stateNow: (alarm: string) => AlarmState | undefined): boolean {
  switch (rule.is) {
    case 'state':
      return stateNow(rule.alarm) === rule.state;
    case 'constant':
      return rule.value;
    case 'NOT':
      return !isTrue(rule.rule, stateNow);
    case 'AND':
      return rule.rules.every((each) => isTrue(each, stateNow));
    case 'OR':
      return rule.rules.some((each) => isTrue(each, stateNow));
  }
}

function invalid(why: string): ApiError {
  return new ApiError('ValidationError', `AlarmRule is not valid: ${why}.`);
}
