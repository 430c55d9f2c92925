import { contains, isList, isTruthy, lengthOf, show, toFloat, toInteger, isNumber, type Value } from './values.js';

/** `parameter` is null where none was given. */
export type Filter = (value: Value, parameter: Value) => Value;

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
/** Nothing that pads makes more than this of a text. */
const longestPadding = 4096;

const escape: Filter = (value) => show(value).replaceAll(/[&<>"']/g, (character) => escapes[character]!);
const onText = (change: (text: string) => string): Filter => (value) => change(show(value));
const capitalize = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
const spaces = (count: number): string => ' '.repeat(Math.max(0, Math.min(longestPadding, Math.trunc(count))));
const room = (text: string, parameter: Value): number => Number(toInteger(parameter)) - [...text].length;

/** The part of Go's filters for Django-like templates that images use, and what stands next to it. */
export const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ['add', (value, parameter) => (isNumber(value) && isNumber(parameter) ? (typeof value === 'bigint' && typeof parameter === 'bigint' ? value + parameter : toFloat(value) + toFloat(parameter)) : show(value) + show(parameter))],
  ['addslashes', onText((text) => text.replaceAll(/[\\"']/g, '\\$&'))],
  ['capfirst', onText(capitalize)],
  ['center', (value, parameter) => { const text = show(value); const left = room(text, parameter); return spaces(Math.ceil(left / 2)) + text + spaces(Math.floor(left / 2)); }],
  ['cut', (value, parameter) => (show(parameter) === '' ? show(value) : show(value).replaceAll(show(parameter), ''))],
  ['default', (value, parameter) => (isTruthy(value) ? value : parameter)],
  ['default_if_none', (value, parameter) => (value === null ? parameter : value)],
  ['divisibleby', (value, parameter) => toInteger(parameter) !== 0n && toInteger(value) % toInteger(parameter) === 0n],
  ['e', escape],
  ['escape', escape],
  ['first', (value) => (isList(value) ? (value[0] ?? null) : show(value).charAt(0))],
  ['float', (value) => toFloat(value)],
  ['force_escape', escape],
  ['integer', (value) => toInteger(value)],
  ['join', (value, parameter) => (isList(value) ? value.map(show) : [...show(value)]).join(show(parameter))],
  ['last', (value) => (isList(value) ? (value.at(-1) ?? null) : show(value).slice(-1))],
  ['length', (value) => BigInt(lengthOf(value))],
  ['length_is', (value, parameter) => BigInt(lengthOf(value)) === toInteger(parameter)],
  ['ljust', (value, parameter) => { const text = show(value); return text + spaces(room(text, parameter)); }],
  ['lower', onText((text) => text.toLowerCase())],
  ['make_list', (value) => [...show(value)]],
  ['pluralize', (value, parameter) => { const [one, many] = parameter === null ? ['', 's'] : show(parameter).includes(',') ? show(parameter).split(',', 2) : ['', show(parameter)]; return (toInteger(value) === 1n ? one : many) ?? ''; }],
  ['rjust', (value, parameter) => { const text = show(value); return spaces(room(text, parameter)) + text; }],
  ['safe', (value) => value],
  ['slice', slice],
  ['split', (value, parameter) => show(value).split(show(parameter))],
  ['striptags', onText((text) => text.replaceAll(/<[^>]*>/g, ''))],
  ['title', onText((text) => text.toLowerCase().replaceAll(/\S+/g, capitalize))],
  ['truncatechars', (value, parameter) => { const all = [...show(value)]; const most = Number(toInteger(parameter)); return all.length <= most ? show(value) : most < 3 ? all.slice(0, Math.max(0, most)).join('') : `${all.slice(0, most - 3).join('')}...`; }],
  ['upper', onText((text) => text.toUpperCase())],
  ['urlencode', onText((text) => encodeURIComponent(text.toWellFormed()).replaceAll('%20', '+'))],
  ['wordcount', (value) => BigInt(show(value).split(/\s+/).filter((word) => word !== '').length)],
  ['yesno', (value, parameter) => { const [yes = 'yes', no = 'no', maybe = no] = parameter === null ? ['yes', 'no', 'maybe'] : show(parameter).split(','); return value === null ? maybe : isTruthy(value) ? yes : no; }],
]);

/** `1:3` of a list or of a text's characters. */
function slice(value: Value, parameter: Value): Value {
  const [from = '', to = ''] = contains(parameter, ':') ? show(parameter).split(':', 2) : [];
  const all = isList(value) ? value : [...show(value)];
  const part = all.slice(from === '' ? 0 : Number(toInteger(from)), to === '' ? all.length : Number(toInteger(to)));
  return isList(value) ? part : part.join('');
}
