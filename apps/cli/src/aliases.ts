/** Aliases everybody has. Whoever adds one of the same name has his own. */
const builtIn: Readonly<Record<string, string>> = { shell: 'exec @ARGS@ -- su -l' };

/**
 * Exchanges the first words for what they stand for. `@ARGS@` in an alias is where the words after it go; else they follow.
 * @param argv begins with the program's name
 * @param aliases asked only when there are words
 */
export function expandAliases(argv: readonly string[], aliases: () => ReadonlyMap<string, string>): string[] {
  const [program = '', ...words] = argv;
  if (words.length === 0 || words[0]!.startsWith('-')) return [...argv];
  const found = find(aliases(), words) ?? find(new Map(Object.entries(builtIn)), words);
  if (found === undefined) return [...argv];
  const rest = words.slice(found.length);
  const expanded: string[] = [];
  let placed = false;
  for (const word of splitWords(found.target)) {
    if (word === '@ARGS@' && rest.length > 0) {
      expanded.push(...rest);
      placed = true;
    } else expanded.push(word);
  }
  return [program, ...expanded, ...(placed ? [] : rest)];
}

function find(aliases: ReadonlyMap<string, string>, words: readonly string[]): { length: number; target: string } | undefined {
  for (const [name, target] of aliases) {
    const key = name.split(' ');
    if (key.every((word, index) => words[index] === word)) return { length: key.length, target };
  }
  return undefined;
}

/** Splits as a shell does: spaces part, quotes and backslashes keep together. */
export function splitWords(text: string): string[] {
  const words: string[] = [];
  for (const match of text.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g)) {
    words.push(match[0].replace(/\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_all, escaped?: string, double?: string, single?: string) => escaped ?? double?.replace(/\\(["\\$`])/g, '$1') ?? single ?? ''));
  }
  return words;
}
