import { invalid, wrap } from '#kernel';
import type { Invocation } from '../invocation.js';

/**
 * Keys and values of a command line: `key=value`..., or the older `key value`. A value of `-` is read from standard input.
 * Throws `invalid` for a word without `=`.
 */
export async function readKeys(invocation: Invocation, words: readonly string[]): Promise<Record<string, string>> {
  const value = async (text: string): Promise<string> => {
    if (text !== '-' || invocation.terminal.inputIsTerminal) return text;
    try {
      return (await invocation.terminal.readAll()).toString('utf8');
    } catch (error) {
      throw wrap(error, "Can't read from stdin");
    }
  };
  if (words.length === 2 && !words[0]!.includes('=')) return { [words[0]!]: await value(words[1]!) };
  const keys: Record<string, string> = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 0) throw invalid(`Invalid key=value configuration: ${word}`);
    keys[word.slice(0, equals)] = await value(word.slice(equals + 1));
  }
  return keys;
}

/** `key=value` words only. `complaint` begins the message about one that is none. */
export function pairs(words: readonly string[], complaint = 'Bad key/value pair'): Record<string, string> {
  const found: Record<string, string> = {};
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 0) throw invalid(`${complaint}: ${word}`);
    found[word.slice(0, equals)] = word.slice(equals + 1);
  }
  return found;
}
