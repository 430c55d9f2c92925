import { describe, expect, it } from 'vitest';
import { expandAliases, splitWords } from './aliases.js';

const aliases = new Map([['ll', 'list -c ns'], ['net ls', 'network list'], ['login', 'exec @ARGS@ -- su -l'], ['say', 'exec "c 1" -- echo @ARGS@ end'],
  ['first', 'exec @ARG1@ -- echo <@ARG1@> @ARG2@'], ['turn', 'x @ARG2@ @ARGS@ @ARG1@'], ['net', 'network'], ['script', 'exec c1 -- sh -c "echo @ARGS@"'], ['none', 'x @ARG0@']]);
const expand = (line: string): string[] => expandAliases(['roost', ...line.split(' ')], () => aliases).slice(1);

describe('expandAliases', () => {
  it.each([
    ['ll -f csv', ['list', '-c', 'ns', '-f', 'csv']], ['net ls x', ['network', 'list', 'x']], ['net x', ['network', 'x']], ['login c1', ['exec', 'c1', '--', 'su', '-l']], ['say a b', ['exec', 'c 1', '--', 'echo', 'a', 'b', 'end']],
    ['shell c1', ['exec', 'c1', '--', 'su', '-l']], ['list', ['list']], ['--debug ll', ['--debug', 'list', '-c', 'ns']], ['-q --project=p ll x', ['-q', '--project=p', 'list', '-c', 'ns', 'x']],
    ['--project p ll', ['--project', 'p', 'll']], ['-- ll', ['--', 'll']], ['login', ['exec', '--', 'su', '-l']], ['first c1 a b', ['exec', 'c1', '--', 'echo', '<c1>', 'a', 'b']], ['turn 1 2 3 4', ['x', '2', '3', '4', '1']],
    ['script $1 $&', ['exec', 'c1', '--', 'sh', '-c', 'echo $1 $&']],
  ])('%s', (line, words) => {
    expect(expand(line)).toEqual(words);
  });

  it.each(['first c1', 'turn', 'none a'])('needs the words that are named: %s', (line) => {
    expect(() => expand(line)).toThrow(`Found alias "${line.split(' ')[0]}" references an argument outside the given number`);
  });

  it('splits as a shell does', () => {
    expect(splitWords(String.raw`a 'b c' "d \"e\"" f\ g h'i'j`)).toEqual(['a', 'b c', 'd "e"', 'f g', 'hij']);
  });
});
