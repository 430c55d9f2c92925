import { invalid } from '#kernel';

/** Names are host names (RFC 1123, one label). Throws `invalid` with LXD's wording. */
export function checkInstanceName(name: string): void {
  const refuse = (reason: string): never => {
    throw invalid(`Invalid instance name: ${reason}`);
  };
  if (name.length < 1 || name.length > 63) refuse('Name must be 1-63 characters long');
  if (!/^[-a-zA-Z0-9]+$/.test(name)) refuse('Name can only contain alphanumeric and hyphen characters');
  if (name.startsWith('-')) refuse('Name must not start with "-" character');
  if (name.endsWith('-')) refuse('Name must not end with "-" character');
  if (/^[0-9]/.test(name)) refuse('Name must not start with a number');
}

/** A name in a path: an instance only, no snapshot. */
export function checkNameInPath(name: string): void {
  if (name.includes('/')) throw invalid('Invalid instance name');
}

const adjectives = [
  'able', 'ample', 'apt', 'bold', 'brave', 'brisk', 'calm', 'clear', 'clever', 'cosmic', 'eager', 'early', 'fair', 'fast', 'fine', 'fleet',
  'fond', 'frank', 'fresh', 'gentle', 'glad', 'golden', 'grand', 'great', 'handy', 'happy', 'hardy', 'keen', 'kind', 'lively', 'loyal',
  'lucid', 'lucky', 'mellow', 'merry', 'mighty', 'modest', 'neat', 'nimble', 'noble', 'open', 'patient', 'plucky', 'polite', 'prime',
  'proud', 'quick', 'quiet', 'rapid', 'ready', 'robust', 'sharp', 'skilled', 'smart', 'solid', 'stable', 'steady', 'sunny', 'swift', 'tidy',
  'trusty', 'upbeat', 'vivid', 'warm', 'wise', 'witty',
] as const;

const birds = [
  'avocet', 'bittern', 'bluebird', 'bunting', 'chough', 'condor', 'coot', 'crane', 'curlew', 'dipper', 'dove', 'dunlin', 'eagle', 'egret',
  'eider', 'falcon', 'finch', 'gannet', 'godwit', 'goshawk', 'grebe', 'grouse', 'harrier', 'heron', 'hobby', 'hoopoe', 'ibis', 'jackdaw',
  'jay', 'kestrel', 'kite', 'kiwi', 'lapwing', 'lark', 'linnet', 'magpie', 'martin', 'merlin', 'murre', 'nuthatch', 'oriole', 'osprey',
  'ouzel', 'owl', 'parrot', 'petrel', 'pipit', 'plover', 'puffin', 'quail', 'rail', 'raven', 'robin', 'rook', 'ruff', 'siskin', 'snipe',
  'starling', 'stork', 'swallow', 'swan', 'swift', 'teal', 'tern', 'thrush', 'wagtail', 'warbler', 'waxwing', 'wren',
] as const;

/** A name made up for a request without one: two words, such as `steady-heron`. `random` gives numbers in [0, 1). */
export function makeUpName(random: () => number): string {
  const pick = (words: readonly string[]): string => words[Math.floor(random() * words.length)] ?? 'roost';
  return `${pick(adjectives)}-${pick(birds)}`;
}
