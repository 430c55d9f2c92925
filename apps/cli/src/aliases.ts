import { invalid } from '#kernel';

/** Aliases everybody has. Whoever adds one of the same name has his own. */
const builtIn: Readonly<Record<string, string>> = { shell: 'exec @ARGS@ -- su -l' };

/**
 * Exchanges the first words, after flags for all commands, for what they stand for. In an alias `@ARG1@` is the first word after it, `@ARGS@` those that no number names;
 * without `@ARGS@` they follow. Throws `invalid` when there are fewer words than the alias names.
 * @param argv begins with the program's name
 * @param aliases asked only when there are words
 */
export function expandAliases(argv: readonly string[], aliases: () => ReadonlyMap<string, string>): string[] {
  const [program = '', ...all] = argv;
  const start = all.findIndex((word) => !word.startsWith('-') || word === '--');
  const words = start < 0 ? [] : all.slice(start);
  if (words.length === 0) return [...argv];
  const found = find(aliases(), words) ?? find(new Map(Object.entries(builtIn)), words);
  if (found === undefined) return [...argv];
  const given = words.slice(found.length);
  const named = new Set<number>();
  const target = splitWords(found.target).map((word) => word.replace(/@ARG(\d+)@/g, (_all, digits: string) => {
    const value = given[Number(digits) - 1];
    if (value === undefined) throw invalid(`Found alias ${JSON.stringify(words.slice(0, found.length).join(' '))} references an argument outside the given number`);
    named.add(Number(digits) - 1);
    return value;
  }));
  const rest = given.filter((_word, index) => !named.has(index));
  let placed = false;
  const expanded = target.flatMap((word) => {
    if (word.search(inside) < 0) return [word];
    placed = true;
    return word === '@ARGS@' ? rest : [word.replaceAll(inside, () => rest.join(' '))];
  });
  return [program, ...all.slice(0, start), ...expanded, ...(placed ? [] : rest)];
}

/** `@ARGS@` as a word, also in one that quotes keep together. */
const inside = /(?<!\S)@ARGS@(?!\S)/g;

/** Of several that fit the longest. */
function find(aliases: ReadonlyMap<string, string>, words: readonly string[]): { length: number; target: string } | undefined {
  const fitting = [...aliases].map(([name, target]) => ({ key: name.split(' '), target })).filter(({ key }) => key.every((word, index) => words[index] === word));
  const [longest] = fitting.sort((a, b) => b.key.length - a.key.length);
  return longest === undefined ? undefined : { length: longest.key.length, target: longest.target };
}

/** Splits as a shell does: spaces part, quotes and backslashes keep together. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  for (const match of text.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g)) {
    words.push(match[0].replace(/\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_all, escaped?: string, double?: string, single?: string) => escaped ?? double?.replace(/\\(["\\$`])/g, '$1') ?? single ?? ''));
  }
  return words;
}
