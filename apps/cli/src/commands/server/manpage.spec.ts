import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { Command } from '../../grammar/command.js';
import type { Invocation } from '../../invocation.js';
import { tree } from '../tree.js';
import { manpage } from './manpage.js';

let directory: string;
beforeEach(() => { directory = mkdtempSync(`${tmpdir()}/roost-pages-`); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const count = (command: Command): number => 1 + command.commands.filter((one) => !['help', '__complete'].includes(one.name)).reduce((sum, one) => sum + count(one), 0);
const write = (format: string): Promise<void> => manpage({ program: 'roost', root: tree, arg: () => directory, flags: { text: () => format } } as unknown as Invocation);

describe('manpage', () => {
  it.each([
    ['man', 'roost.config.set.1', [/^\.TH "ROOST-CONFIG-SET" "1"/, /\.SH SYNOPSIS\n\\fBroost config set /, /\.SH EXAMPLES/, /\\fBroost\\-config\\fR\(1\)/]],
    ['md', 'roost_config_set.md', [/^# roost config set\n/, /\n## Options\n/, /\(roost_config\.md\)/]],
    ['rest', 'roost_config_set.rst', [/^roost config set\n={16}\n/, /\nOptions\n-------\n/]],
    ['yaml', 'roost_config_set.yaml', [/^name: roost config set\n/m]],
  ] as const)('writes a page for each command as %s', async (format, file, patterns) => {
    await write(format);
    const names = readdirSync(directory);
    expect(names).toHaveLength(count(tree));
    expect(names.filter((name) => name.includes('__complete') || readFileSync(`${directory}/${name}`, 'utf8').includes('__complete'))).toEqual([]);
    const text = readFileSync(`${directory}/${file}`, 'utf8');
    for (const pattern of patterns) expect(text).toMatch(pattern);
    if (format === 'yaml') for (const name of names) expect(parse(readFileSync(`${directory}/${name}`, 'utf8'))).toHaveProperty('synopsis');
  });

  it('refuses a format that is none', async () => {
    await expect(write('pdf')).rejects.toThrow('Unknown format pdf');
    expect(readdirSync(directory)).toEqual([]);
  });
});
