import { invalid } from '#kernel';
import { parseError } from './value.checks.js';

const aliases = new Set(['@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@annually', '@yearly', '@startup', '@never']);
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const fields: readonly { min: number; max: number; names: readonly string[]; first: number }[] = [
  { min: 0, max: 59, names: [], first: 0 },
  { min: 0, max: 23, names: [], first: 0 },
  { min: 1, max: 31, names: [], first: 0 },
  { min: 1, max: 12, names: months, first: 1 },
  { min: 0, max: 6, names: days, first: 0 },
];

/** Five-field cron expressions or aliases such as `@daily`, several separated by a comma and a space. */
export function isSnapshotSchedule(value: string): void {
  const parts = value.split(', ').map((part) => part.trim());
  if (parts.every((part) => aliases.has(part))) return;
  for (const part of parts) {
    const words = part.split(' ');
    if (words.length !== fields.length) {
      throw invalid('Schedule must be of the form: <minute> <hour> <day-of-month> <month> <day-of-week>');
    }
    if (part.startsWith('@')) throw invalid(`Error parsing schedule: unrecognized descriptor: ${part}`);
    for (const [index, word] of words.entries()) checkField(word, fields[index]!);
  }
}

function checkField(field: string, bounds: (typeof fields)[number]): void {
  for (const expression of field.split(',').filter((text) => text !== '')) {
    const problem = rangeProblem(expression, bounds);
    if (problem !== null) throw invalid(`Error parsing schedule: ${problem}`);
  }
}

function rangeProblem(expression: string, { min, max, names, first }: (typeof fields)[number]): string | null {
  const [range = '', step, ...moreSteps] = expression.split('/');
  const [low = '', high, ...moreRanges] = range.split('-');
  const number = (text: string): number | string => {
    const named = names.indexOf(text.toLowerCase());
    if (named >= 0) return named + first;
    return /^\d+$/.test(text) ? Number(text) : `failed to parse int from ${text}: ${parseError('Atoi', text)}`;
  };
  let start: number | string = min;
  let end: number | string = max;
  if (low !== '*' && low !== '?') {
    start = number(low);
    if (typeof start === 'string') return start;
    if (moreRanges.length > 0) return `too many hyphens: ${expression}`;
    end = high === undefined ? (step === undefined ? start : max) : number(high);
    if (typeof end === 'string') return end;
  }
  if (moreSteps.length > 0) return `too many slashes: ${expression}`;
  const width = step === undefined ? 1 : number(step);
  if (typeof width === 'string') return width;
  if (start < min) return `beginning of range (${start}) below minimum (${min}): ${expression}`;
  if (end > max) return `end of range (${end}) above maximum (${max}): ${expression}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${expression}`;
  return width === 0 ? `step of range should be a positive number: ${expression}` : null;
}

/** A span such as `1M 2H 3d 4w 5m 6y`, each unit at most once. */
export function isExpiry(value: string): void {
  const units = value.trim().split(/\s+/).map((part) => /^\d+([SMHdwmy])$/.exec(part)?.[1]);
  if (units.includes(undefined) || new Set(units).size !== units.length) throw invalid('Invalid expiry expression');
}
