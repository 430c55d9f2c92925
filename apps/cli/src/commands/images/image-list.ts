import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { longUtc } from '../../output/times.js';
import { url } from '../../server.js';
import { imageServer, type ImageView } from './image-source.js';

const columns: Readonly<Record<string, readonly [string, (image: ImageView) => string]>> = {
  a: ['ARCHITECTURE', (one) => one.architecture],
  d: ['DESCRIPTION', (one) => one.properties?.['description'] ?? ''],
  f: ['FINGERPRINT', (one) => one.fingerprint.slice(0, 12)],
  F: ['FINGERPRINT', (one) => one.fingerprint],
  l: ['ALIAS', shortAlias],
  L: ['ALIASES', (one) => (one.aliases ?? []).map((alias) => alias.name).join('\n')],
  p: ['PUBLIC', (one) => (one.public ? 'yes' : 'no')],
  s: ['SIZE', (one) => `${(one.size / 1024 / 1024).toFixed(2)}MB`],
  t: ['TYPE', (one) => (one.type === '' ? 'CONTAINER' : one.type.toUpperCase())],
  u: ['UPLOAD DATE', (one) => longUtc(one.uploaded_at)],
};

function shortAlias({ aliases }: ImageView): string {
  if (aliases === null || aliases.length === 0) return '';
  const shortest = aliases.reduce((best, one) => (one.name.length < best.name.length ? one : best)).name;
  return aliases.length === 1 ? shortest : `${shortest} (${aliases.length - 1} more)`;
}

export const list: Run = async (invocation) => {
  const { args, flags } = invocation;
  const first = args[0] ?? '';
  const hasRemote = first.includes(':') && !first.includes('=');
  const { remote, name } = hasRemote ? invocation.parse(first) : { remote: invocation.config.defaultRemote, name: first };
  const filters = [name, ...args.slice(1)].filter((filter) => filter !== '');
  const letters = parse(flags.text('columns'));
  const images = invocation.config.remote(remote).protocol === 'simplestreams'
    ? (await (await import('./streams.js')).streamImages(invocation, remote)).map(({ paths: _paths, hashes: _hashes, ...image }) => image)
    : await (await imageServer(invocation, remote)).get<ImageView[]>(url(['images'], { recursion: 1 }));
  const shown = images.filter((one) => filters.every((filter) => fits(one, filter)));
  invocation.printList(letters.map((letter) => columns[letter]![0]), sortRows(shown.map((one) => letters.map((letter) => columns[letter]![1](one)))), shown);
};

function parse(text: string): string[] {
  const letters: string[] = [];
  for (const word of text.split(',')) {
    if (word === '') throw invalid(`Empty column entry (redundant, leading or trailing command) in '${text}'`);
    for (const letter of word) {
      if (columns[letter] === undefined) throw invalid(`Unknown column shorthand char '${letter}' in '${word}'`);
      letters.push(letter);
    }
  }
  return letters;
}

/** `key=value` of a property, whole or as a regular expression; else a part of an alias, or the beginning of the fingerprint. */
function fits(image: ImageView, filter: string): boolean {
  const equals = filter.indexOf('=');
  if (equals < 0) return (image.aliases ?? []).some((alias) => alias.name.includes(filter)) || image.fingerprint.includes(filter);
  const key = filter.slice(0, equals);
  const value = filter.slice(equals + 1);
  if (key === 'type') return image.type === value;
  if (key === 'architecture' && image.architecture === value) return true;
  return Object.entries(image.properties ?? {}).some(([name, content]) => {
    if (!name.startsWith(key)) return false;
    try {
      return content === value || new RegExp(`^(?:${value})$`).test(content);
    } catch {
      return content === value;
    }
  });
}
