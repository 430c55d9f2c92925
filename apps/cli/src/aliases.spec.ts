import { describe, expect, it } from 'vitest';
import { expandAliases, splitWords } from './aliases.js';

const aliases = new Map([['ll', 'list -c ns'], ['net ls', 'network list'], ['login', 'exec @ARGS@ -- su -l'], ['say', 'exec "c 1" -- echo @ARGS@ end']]);
const expand = (line: string): string[] => expandAliases(['roost', ...line.split(' ')], () => aliases).slice(1);

describe('expandAliases', () => {
  it.each([
    ['ll -f csv', ['list', '-c', 'ns', '-f', 'csv']], ['net ls x', ['network', 'list', 'x']], ['net x', ['net', 'x']], ['login c1', ['exec', 'c1', '--', 'su', '-l']], ['say a b', ['exec', 'c 1', '--', 'echo', 'a', 'b', 'end']],
    ['shell c1', ['exec', 'c1', '--', 'su', '-l']], ['list', ['list']], ['--debug ll', ['--debug', 'll']],
  ])('%s', (line, words) => {
    expect(expand(line)).toEqual(words);
  });

  it('splits as a shell does', () => {
    expect(splitWords(String.raw`a 'b c' "d \"e\"" f\ g h'i'j`)).toEqual(['a', 'b c', 'd "e"', 'f g', 'hij']);
  });
});
