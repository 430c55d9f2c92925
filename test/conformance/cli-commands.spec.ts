import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { tree } from '../../apps/cli/src/commands/tree.js';
import { globalFlags, type Command } from '../../apps/cli/src/grammar/command.js';

/** Nothing of `lxc` is forgotten: its own help is walked, command by command, and names, other names, arguments and flags are those of ours. */
const conf = mkdtempSync(`${tmpdir()}/roost-commands-`);
afterAll(() => rmSync(conf, { recursive: true, force: true }));

const missing = spawnSync('lxc', ['--version']).status !== 0;

function help(path: readonly string[], ...more: string[]): string {
  return spawnSync('lxc', [...path, '--help', ...more], { encoding: 'utf8', env: { ...process.env, LXD_CONF: conf } }).stdout;
}

/** The rows of a part of the help: `  name   what it is`. */
function section(text: string, title: string): string[] {
  const body = new RegExp(`^${title}:\\n((?: .*\\n|\\n(?= ))*)`, 'm').exec(text)?.[1] ?? '';
  return body.split('\n').filter((line) => line.trim() !== '');
}

const flagsOf = (rows: readonly string[]): string[] => rows.map((row) => /^ *(?:-(\w), )?--([\w-]+)/.exec(row)).filter((match) => match !== null).map((match) => `${match[1] ?? ''}/${match[2]}`).sort();

function compare(path: readonly string[], command: Command): void {
  const text = help(path, ...(path.length === 0 ? ['--all'] : []));
  const label = ['lxc', ...path].join(' ');
  it(label, () => {
    const own = path.length === 0 ? [...command.flags, ...globalFlags] : command.flags;
    expect(own.filter((flag) => !flag.hidden).map((flag) => `${flag.short ?? ''}/${flag.name}`).sort(), 'flags').toEqual(flagsOf(section(text, 'Flags')));
    expect([command.name, ...(command.aliases.length > 0 ? command.aliases : [])].filter((_, index, all) => all.length > 1 || index > 0), 'names').toEqual(section(text, 'Aliases').join('').trim().split(', ').filter((name) => name !== ''));
    const usage = section(text, 'Usage')[0] ?? '';
    if (command.load !== undefined && path.length > 0) expect(`${label} ${command.usage}`.trim()).toBe(usage.trim().replace(/ \[flags\]$/, '').replace('[<remote:>]', '[<remote:>]'));
  });
  const theirs = section(text, 'Available Commands').map((row) => row.trim().split(/\s+/)[0]!);
  it(`${label}: commands`, () => {
    expect(command.commands.filter((one) => !one.beyond).map((one) => one.name).sort()).toEqual(theirs.sort());
  });
  for (const name of theirs) {
    const child = command.commands.find((one) => one.name === name);
    if (child !== undefined && name !== 'help') compare([...path, name], child);
  }
}

describe.skipIf(missing)('every command of lxc', () => {
  if (!missing) compare([], tree);
});
