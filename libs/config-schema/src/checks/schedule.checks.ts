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

/** Which values of one field match; `any` where it is not restricted. */
interface CronField {
  readonly any: boolean;
  readonly values: ReadonlySet<number>;
}

/** A cron expression: minute, hour, day of the month, month, day of the week. */
type Cron = readonly [minute: CronField, hour: CronField, day: CronField, month: CronField, weekday: CronField];

const form = 'Schedule must be of the form: <minute> <hour> <day-of-month> <month> <day-of-week>';

/** Five-field cron expressions or aliases such as `@daily`, several separated by a comma and a space. */
export function isSnapshotSchedule(value: string): void {
  const parts = partsOf(value);
  if (!parts.every((part) => aliases.has(part))) for (const part of parts) parseCron(part);
}

/** Of a custom volume, which nothing starts: without `@startup`, and `@never`. */
export function isVolumeSnapshotSchedule(value: string): void {
  isSnapshotSchedule(value);
  if (scheduleHas(value, '@startup') || scheduleHas(value, '@never')) throw invalid(form);
}

/** Whether a schedule names an alias that is no time, such as `@startup`. */
export function scheduleHas(schedule: string, alias: '@startup' | '@never'): boolean {
  return partsOf(schedule).includes(alias);
}

/**
 * Whether a schedule, which has been checked, falls into the minute of `when`, in local time. Aliases do not all fall on the hour: each subject (an id) has a
 * minute of its own, and an hour where none is meant, so that not everything happens at once.
 */
export function isScheduledAt(schedule: string, when: Date, subject: number): boolean {
  return partsOf(schedule).some((part) => {
    const expression = aliases.has(part) ? spread(part, subject) : part;
    return expression !== '' && matches(parseCron(expression), when);
  });
}

function partsOf(value: string): string[] {
  return value.split(', ').map((part) => part.trim()).map((part) => (part.startsWith('@') ? part.toLowerCase() : part));
}

function spread(alias: string, subject: number): string {
  const minute = subject * 7 % 60;
  const hour = subject * 5 % 24;
  switch (alias) {
    case '@hourly': return `${minute} * * * *`;
    case '@midnight': return `${minute} 0 * * *`;
    case '@daily': return `${minute} ${hour} * * *`;
    case '@weekly': return `${minute} ${hour} * * 0`;
    case '@monthly': return `${minute} ${hour} 1 * *`;
    case '@annually':
    case '@yearly': return `${minute} ${hour} 1 1 *`;
    default: return '';
  }
}

/** Where both kinds of day are restricted, either will do, as with cron. */
function matches([minute, hour, day, month, weekday]: Cron, when: Date): boolean {
  if (!minute.values.has(when.getMinutes()) || !hour.values.has(when.getHours()) || !month.values.has(when.getMonth() + 1)) return false;
  const [byDay, byWeekday] = [day.values.has(when.getDate()), weekday.values.has(when.getDay())];
  return day.any || weekday.any ? byDay && byWeekday : byDay || byWeekday;
}

function parseCron(part: string): Cron {
  const words = part.split(' ');
  if (words.length !== fields.length) throw invalid(form);
  if (part.startsWith('@')) throw invalid(`Error parsing schedule: unrecognized descriptor: ${part}`);
  return words.map((word, index) => parseField(word, fields[index]!)) as unknown as Cron;
}

function parseField(field: string, bounds: (typeof fields)[number]): CronField {
  const values = new Set<number>();
  let any = false;
  for (const expression of field.split(',').filter((text) => text !== '')) {
    const range = parseRange(expression, bounds);
    if (typeof range === 'string') throw invalid(`Error parsing schedule: ${range}`);
    for (let value = range.start; value <= range.end; value += range.width) values.add(value);
    any ||= range.any;
  }
  return { any, values };
}

/** One range of values, or what is wrong with it. */
function parseRange(expression: string, { min, max, names, first }: (typeof fields)[number]): { readonly start: number; readonly end: number; readonly width: number; readonly any: boolean } | string {
  const [range = '', step, ...moreSteps] = expression.split('/');
  const [low = '', high, ...moreRanges] = range.split('-');
  const number = (text: string): number | string => {
    const named = names.indexOf(text.toLowerCase());
    if (named >= 0) return named + first;
    return /^\d+$/.test(text) ? Number(text) : `failed to parse int from ${text}: ${parseError('Atoi', text)}`;
  };
  const any = low === '*' || low === '?';
  let start: number | string = min;
  let end: number | string = max;
  if (!any) {
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
  if (width === 0) return `step of range should be a positive number: ${expression}`;
  // A star with a step restricts after all.
  return { start, end, width, any: any && width === 1 };
}

/** A span such as `1M 2H 3d 4w 5m 6y`, each unit at most once. */
export function isExpiry(value: string): void {
  const units = value.trim().split(/\s+/).map((part) => /^\d+([SMHdwmy])$/.exec(part)?.[1]);
  if (units.includes(undefined) || new Set(units).size !== units.length) throw invalid('Invalid expiry expression');
}
