import { AppError, invalid, messageOf } from '#kernel';
import { expandAliases } from './aliases.js';
import { loadConfig, prepareConfig } from './environment.js';
import { globalFlags, type Command } from './grammar/command.js';
import { renderHelp, renderUsage } from './grammar/help.js';
import { Flags, parseFlags } from './grammar/parse-flags.js';
import { suggestions } from './grammar/suggest.js';
import { ExitCode, Invocation, type Run } from './invocation.js';
import { greet } from './greeting.js';
import { version } from './version-number.js';
import { Terminal } from './terminal/terminal.js';

/** Carries out one command line and returns the exit code. `argv` begins with the program's name. */
export async function runCommandLine(root: Command, argv: readonly string[], terminal = new Terminal()): Promise<number> {
  let invocation: Invocation | undefined;
  try {
    await prepareConfig(argv[0]!);
    const words = expandAliases(argv, () => loadConfig(argv[0]!, false).aliases);
    const found = findCommand(root, words);
    const known = [...found.command.flags, ...globalFlags];
    const parsed = parseFlags(found.words, known);
    const flags = new Flags(known, parsed.values);
    invocation = new Invocation(found.path, found.command, parsed.rest, flags, terminal, () => loadConfig(argv[0]!, flags.bool('force-local')), root);
    await dispatch(root, invocation);
    return 0;
  } catch (error) {
    if (error instanceof ExitCode) return error.code;
    terminal.err(`Error: ${complaintOf(error)}\n${adviceFor(error)}`);
    if (process.env['ROOST_TRACE'] !== undefined && error instanceof Error) terminal.err(`${error.stack}\n`);
    return 1;
  } finally {
    invocation?.close();
  }
}

interface Found {
  readonly path: string[];
  readonly command: Command;
  /** What is left without the names of commands. */
  readonly words: string[];
}

/** Walks down the tree along the words that are no flags. */
export function findCommand(root: Command, argv: readonly string[]): Found {
  const found = { path: [argv[0]!], command: root, words: [] as string[] };
  let queue = argv.slice(1);
  while (found.command.commands.length > 0 && queue.length > 0) {
    const word = queue[0]!;
    if (word === '--') break;
    if (word.startsWith('-') && word !== '-') {
      const flag = [...found.command.flags, ...globalFlags].find((one) => `--${one.name}` === word || `-${one.short}` === word);
      const takes = flag !== undefined && flag.kind !== 'bool' ? 2 : 1;
      found.words.push(...queue.slice(0, takes));
      queue = queue.slice(takes);
      continue;
    }
    const next = childOf(found.command, word);
    if (next === undefined) break;
    found.path.push(next.name);
    found.command = next;
    queue = queue.slice(1);
  }
  found.words.push(...queue);
  return found;
}

export function childOf(command: Command, word: string): Command | undefined {
  return command.commands.find((one) => one.name === word || one.aliases.includes(word));
}

async function dispatch(root: Command, invocation: Invocation): Promise<void> {
  const { command, flags, args, path, terminal } = invocation;
  const options = { all: flags.bool('all'), subCommands: flags.bool('sub-commands') };
  if (flags.bool('version')) return terminal.out(`${version}\n`);
  if (flags.bool('help')) return terminal.out(renderHelp(path, command, options));
  if (path.length === 2 && command.name === 'help') return help(root, invocation, options);
  if (command.load === undefined) {
    const unknown = args[0];
    if (unknown !== undefined && !command.lax) throw invalid(unknownCommand(unknown, command, path));
    if (path.length > 1) await greet(invocation);
    if (path.length === 1 || unknown !== undefined || command.lax) return terminal.out(renderHelp(path, command, options));
    return terminal.err(`${renderUsage(path, command, options)}\n`);
  }
  await greet(invocation);
  const [least, most] = command.args;
  if (args.length < least || args.length > most) {
    terminal.out(renderHelp(path, command));
    if (args.length === 0) return;
    throw invalid('Invalid number of arguments');
  }
  await ((await command.load()) as Run)(invocation);
}

function help(root: Command, invocation: Invocation, options: { all: boolean; subCommands: boolean }): void {
  const { terminal, args, program } = invocation;
  const found = findCommand(root, [program, ...args]);
  if (found.words.length > 0 && found.path.length <= args.length && found.command === root) {
    return terminal.err(`Unknown help topic [${args.map((arg) => `\`${arg}\``).join(' ')}]\n${renderUsage([program], root, options)}\n`);
  }
  terminal.out(renderHelp(found.path, found.command, options));
}

function unknownCommand(word: string, command: Command, path: readonly string[]): string {
  const text = `unknown command ${JSON.stringify(word)} for ${JSON.stringify(path.join(' '))}`;
  const near = path.length > 1 ? [] : suggestions(word, command.commands.filter((one) => !one.hidden && !(one.beyond && path[0] === 'lxc')).map((one) => one.name));
  return near.length === 0 ? text : `${text}\n\nDid you mean this?\n${near.map((name) => `\t${name}\n`).join('')}`;
}

/** A command goes by what servers are known to answer: one that answers otherwise makes it stumble. */
function complaintOf(error: unknown): string {
  return error instanceof TypeError ? `The server's answer is not what was expected, or this is a mistake of the program's: ${error.message}` : messageOf(error);
}

/** What to do next, where that is clear; on lines of its own, after the complaint. */
function adviceFor(error: unknown): string {
  if (!(error instanceof AppError) || process.env['ROOST_CALLED_AS'] === 'lxc') return '';
  if (/permission denied/.test(error.message)) return 'Only root and the members of the daemon\'s group may use its socket.\n';
  if (/dial unix .*(no such file|refused)/.test(error.message)) return 'Is the daemon running? ROOST_DIR (or LXD_DIR) says where its socket is.\n';
  if (error.message === 'not authorized') return 'On the server, `roost config trust add` makes a token that `roost remote add` takes.\n';
  return '';
}
