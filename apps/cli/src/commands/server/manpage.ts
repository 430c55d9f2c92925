import { mkdirSync, writeFileSync } from 'node:fs';
import { invalid } from '#kernel';
import { globalFlags, type Command, type Flag } from '../../grammar/command.js';
import type { Run } from '../../invocation.js';
import { toYaml } from '../../output/yaml.js';

type Page = { readonly path: readonly string[]; readonly command: Command };

/** A page for each command, hidden ones too: `roost-config-set.1`. */
export const manpage: Run = async (invocation) => {
  const directory = invocation.arg(0);
  const format = invocation.flags.text('format');
  const kinds: Readonly<Record<string, readonly [string, string, (page: Page) => string]>> = {
    man: ['.', '.1', manText], md: ['_', '.md', markdown], rest: ['_', '.rst', restructured], yaml: ['_', '.yaml', yaml],
  };
  const kind = kinds[format];
  if (kind === undefined) throw invalid(`Unknown format ${format}`);
  mkdirSync(directory, { recursive: true });
  const [separator, suffix, write] = kind;
  for (const page of pages([invocation.program], invocation.root)) writeFileSync(`${directory}/${page.path.join(separator)}${suffix}`, write(page));
};

function pages(path: readonly string[], command: Command): Page[] {
  return [{ path, command }, ...command.commands.filter((one) => one.name !== 'help' && !one.name.startsWith('_')).flatMap((one) => pages([...path, one.name], one))];
}

const usageOf = ({ path, command }: Page): string => [path.join(' '), command.usage, command.commands.length > 0 ? '<command>' : '', '[flags]'].filter((word) => word !== '').join(' ');
const flagName = (flag: Flag): string => `${flag.short === undefined ? '' : `-${flag.short}, `}--${flag.name}${flag.kind === 'bool' ? '' : `=${flag.fallback === undefined || flag.fallback === '' ? flag.kind.toUpperCase() : flag.fallback}`}`;
const neighbours = ({ path, command }: Page): string[][] => [...(path.length > 1 ? [path.slice(0, -1)] : []), ...command.commands.filter((one) => !one.name.startsWith('_')).map((one) => [...path, one.name])];

function manText(page: Page): string {
  const { path, command } = page;
  const escape = (text: string): string => text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^([.'])/gm, '\\&$1');
  const flags = (title: string, list: readonly Flag[]): string => (list.length === 0 ? '' : `.SH ${title}\n${list.map((flag) => `.TP\n\\fB${escape(flagName(flag))}\\fR\n${escape(flag.help)}\n`).join('')}`);
  return [
    `.TH "${path.join('-').toUpperCase()}" "1" "" "Roost" "User Commands"\n.nh\n.ad l\n`, `.SH NAME\n${escape(path.join('-'))} \\- ${escape(command.summary)}\n`,
    `.SH SYNOPSIS\n\\fB${escape(usageOf(page))}\\fR\n`, command.details === '' ? '' : `.SH DESCRIPTION\n.nf\n${escape(command.details)}\n.fi\n`,
    flags('OPTIONS', command.flags), flags('GLOBAL OPTIONS', globalFlags),
    command.examples.length === 0 ? '' : `.SH EXAMPLES\n${command.examples.map(([line, what]) => `.TP\n\\fB${escape(line.replace('$0', path[0]!))}\\fR\n${escape(what)}\n`).join('')}`,
    `.SH SEE ALSO\n${neighbours(page).map((one) => `\\fB${escape(one.join('-'))}\\fR(1)`).join(', ')}\n`,
  ].join('');
}

function markdown(page: Page): string {
  const { path, command } = page;
  const flags = (list: readonly Flag[]): string => list.map((flag) => `- \`${flagName(flag)}\`: ${flag.help}`).join('\n');
  return `${[
    `# ${path.join(' ')}`, command.summary, command.details, `\`\`\`\n${usageOf(page)}\n\`\`\``,
    command.examples.length === 0 ? '' : `## Examples\n\n${command.examples.map(([line, what]) => `    ${line.replace('$0', path[0]!)}\n\n${what}`).join('\n\n')}`,
    command.flags.length === 0 ? '' : `## Options\n\n${flags(command.flags)}`, `## Global options\n\n${flags(globalFlags)}`,
    `## See also\n\n${neighbours(page).map((one) => `- [${one.join(' ')}](${one.join('_')}.md)`).join('\n')}`,
  ].filter((part) => part !== '').join('\n\n')}\n`;
}

function restructured(page: Page): string {
  const { path, command } = page;
  const title = path.join(' ');
  const flags = (list: readonly Flag[]): string => list.map((flag) => `\`\`${flagName(flag)}\`\`\n    ${flag.help}`).join('\n');
  const section = (name: string, body: string): string => (body === '' ? '' : `${name}\n${'-'.repeat(name.length)}\n\n${body}`);
  return `${[
    `${title}\n${'='.repeat(title.length)}`, command.summary, command.details, `::\n\n  ${usageOf(page)}`,
    section('Examples', command.examples.map(([line, what]) => `::\n\n  ${line.replace('$0', path[0]!)}\n\n${what}`).join('\n\n')), section('Options', flags(command.flags)), section('Global options', flags(globalFlags)),
  ].filter((part) => part !== '').join('\n\n')}\n`;
}

function yaml({ path, command }: Page): string {
  const flags = (list: readonly Flag[]): unknown[] => list.map((flag) => ({ name: flag.name, ...(flag.short === undefined ? {} : { shorthand: flag.short }), ...(flag.fallback ? { default_value: flag.fallback } : {}), usage: flag.help }));
  return toYaml({ name: path.join(' '), synopsis: command.summary, description: command.details, usage: usageOf({ path, command }), options: flags(command.flags), inherited_options: flags(globalFlags) });
}
