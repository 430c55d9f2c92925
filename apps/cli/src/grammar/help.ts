import { globalFlags, type Command, type Flag } from './command.js';

export interface HelpOptions {
  /** Also the commands seldom needed. */
  readonly all?: boolean;
  /** Also the commands below those of this level. */
  readonly subCommands?: boolean;
}

/** The whole help of a command. `path` is how it is called: `['roost', 'config', 'set']`. */
export function renderHelp(path: readonly string[], command: Command, options: HelpOptions = {}): string {
  const parts = [`Description:\n${indent([command.summary, command.details].filter((text) => text !== '').join('\n\n'), 2)}`, renderUsage(path, command, options)];
  return `${parts.join('\n\n')}\n`;
}

/** Everything but the description: shown where a group is called without a command. */
export function renderUsage(path: readonly string[], command: Command, options: HelpOptions = {}): string {
  const called = path.join(' ');
  const root = path.length === 1;
  const parts: string[] = [`Usage:\n${usageLines(called, command, root).map((line) => `  ${line}`).join('\n')}`];
  if (command.aliases.length > 0) parts.push(`Aliases:\n  ${[command.name, ...command.aliases].join(', ')}`);
  if (command.examples.length > 0) parts.push(`Examples:\n${command.examples.map(([line, what]) => `  ${line.replaceAll('$0', path[0]!)}\n${indent(what, 6)}`).join('\n\n')}`);
  const shown = command.commands.filter((one) => options.all || !one.hidden);
  if (shown.length > 0) parts.push(`Available Commands:\n${commandRows(shown, options, '  ')}`);
  const own = command.flags.filter((flag) => !flag.hidden);
  if (root) parts.push(`Flags:\n${flagRows([...own, ...globalFlags])}`);
  else {
    if (own.length > 0) parts.push(`Flags:\n${flagRows(own)}`);
    parts.push(`Global Flags:\n${flagRows(globalFlags)}`);
  }
  if (shown.length > 0) parts.push(`Use "${called} [command] --help" for more information about a command.`);
  return parts.join('\n\n');
}

function usageLines(called: string, command: Command, root: boolean): string[] {
  const lines: string[] = [];
  if (command.load !== undefined) {
    lines.push([called, command.usage, command.usage.includes('[flags]') ? '' : '[flags]'].filter((word) => word !== '').join(' '));
  } else if (!root && !command.lax) lines.push(`${called} [flags]`);
  if (command.commands.length > 0) lines.push(`${called} [command]`);
  return lines;
}

function commandRows(commands: readonly Command[], options: HelpOptions, margin: string): string {
  const width = Math.max(11, ...commands.map((one) => one.name.length));
  return [...commands].sort((a, b) => (a.name < b.name ? -1 : 1)).map((one) => {
    const below = options.subCommands ? one.commands.filter((sub) => options.all || !sub.hidden) : [];
    return `${margin}${one.name.padEnd(width)} ${one.summary}${below.length === 0 ? '' : `\n${commandRows(below, options, `${margin}  `)}`}`;
  }).join('\n');
}

function flagRows(flags: readonly Flag[]): string {
  const names = flags.map((flag) => `${flag.short === undefined ? '    ' : `-${flag.short}, `}--${flag.name}${flag.bare === undefined ? '' : `[="${flag.bare}"]`}`);
  const width = Math.max(...names.map((name) => name.length)) + 3;
  const rows = flags.map((flag, index) => ({ flag, row: `  ${names[index]!.padEnd(width)}${flag.help}${fallbackText(flag)}` }));
  return rows.sort((a, b) => (a.flag.name < b.flag.name ? -1 : 1)).map(({ row }) => row).join('\n');
}

function fallbackText(flag: Flag): string {
  const { fallback = '' } = flag;
  if (fallback === '' || (['int', 'uint'].includes(flag.kind) && fallback === '0') || flag.kind === 'bool') return '';
  return ` (default ${['int', 'uint'].includes(flag.kind) ? fallback : JSON.stringify(fallback)})`;
}

function indent(text: string, by: number): string {
  return text.split('\n').map((line) => (line === '' ? '' : ' '.repeat(by) + line)).join('\n');
}
