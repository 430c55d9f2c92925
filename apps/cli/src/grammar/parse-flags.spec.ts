import { describe, expect, it } from 'vitest';
import { bool, int, list, text, verb } from './command.js';
import { Flags, parseFlags } from './parse-flags.js';
import { suggestions } from './suggest.js';

const known = [bool('force', '', 'f'), bool('quiet', '', 'q'), text('columns', '', 'c', 'ns'), int('timeout', '', undefined, '-1'), list('config', '', 'x'), text('console', '', undefined, '', { bare: 'console' })];
const parse = (...words: string[]) => parseFlags(words, known);
const flags = (...words: string[]) => new Flags(known, parse(...words).values);

describe('parseFlags', () => {
  it('takes flags anywhere up to --', () => {
    expect(parse('a', '--force', 'b', '--', '--quiet', '-x').rest).toEqual(['a', 'b', '--quiet', '-x']);
    expect(parse('-', '-f').rest).toEqual(['-']);
  });

  it('takes values after =, after a space, and right behind a letter', () => {
    for (const words of [['--columns=n4'], ['--columns', 'n4'], ['-cn4'], ['-c', 'n4'], ['-c=n4'], ['-fcn4'], ['-fqc', 'n4']]) expect(flags(...words).text('columns'), words.join(' ')).toBe('n4');
    expect(flags('-fq').bool('quiet')).toBe(true);
    expect(flags('--force=false').bool('force')).toBe(false);
  });

  it('knows what was given and falls back to what was not', () => {
    expect(flags().text('columns')).toBe('ns');
    expect(flags().int('timeout')).toBe(-1);
    expect(flags('--timeout', '-5').int('timeout')).toBe(-5);
    expect(flags('-x', 'a=1', '-x', 'b=2').list('config')).toEqual(['a=1', 'b=2']);
    expect(flags('--columns=').given('columns')).toBe(true);
  });

  it('lets a value be left out only where that means something', () => {
    expect(flags('--console').text('console')).toBe('console');
    expect(flags('--console=vga').text('console')).toBe('vga');
    expect(parse('--console', 'c1').rest).toEqual(['c1']);
  });

  it.each([
    [['--bad'], 'unknown flag: --bad'], [['-z'], "unknown shorthand flag: 'z' in -z"], [['-fz'], "unknown shorthand flag: 'z' in -z"], [['--columns'], 'flag needs an argument: --columns'],
    [['-c'], "flag needs an argument: 'c' in -c"], [['--timeout', 'x'], 'invalid argument "x" for "--timeout" flag: strconv.ParseInt: parsing "x": invalid syntax'],
    [['--force=maybe'], 'invalid argument "maybe" for "-f, --force" flag: strconv.ParseBool: parsing "maybe": invalid syntax'], [['--=x'], 'bad flag syntax: --=x'],
  ])('%j: %s', (words, message) => {
    expect(() => parse(...words)).toThrow(message);
  });
});

describe('verb', () => {
  it.each([
    ['[<remote>:]<instance> <key>', [2, 2]], ['[<remote>:]', [0, 0]], ['<alias> <target>', [2, 2]], ['[<remote>:]<instance> [<snapshot name>]', [1, 2]], ['[<remote>:]<pool> <volume> [key=value...]', [2, Infinity]],
  ])('%s takes %j arguments', (usage, args) => {
    expect(verb('x', usage, '', async () => async () => undefined).args).toEqual(args);
  });
});

describe('suggestions', () => {
  it('are names two letters away at most, or that begin so', () => {
    expect(suggestions('lst', ['list', 'launch', 'stop'])).toEqual(['list']);
    expect(suggestions('net', ['network', 'list'])).toEqual(['network']);
    expect(suggestions('xyzzy', ['network', 'list'])).toEqual([]);
  });
});
