import type { ApiClient } from '#client';
import { invalid } from '#kernel';
import { globalFlags, type Command } from '../../grammar/command.js';
import type { Invocation, Run } from '../../invocation.js';
import { url } from '../../server.js';

/** Scripts for shells: each asks this program what may follow. */
const scripts: Readonly<Record<string, (program: string) => string>> = {
  bash: (program) => `_${program}_complete() {
  local IFS=$'\\n'
  local words=("\${COMP_WORDS[@]:1:COMP_CWORD}")
  # A name with a colon is one word here and several in bash.
  local line="\${COMP_LINE:0:COMP_POINT}" last
  last="\${line##*[[:space:]]}"
  COMPREPLY=($(${program} __complete -- $(printf '%s\\n' "\${words[@]:0:\${#words[@]}-1}" | paste -sd '\\n' | sed ':a;N;$!ba;s/\\n:\\n/:/g') "$last" 2>/dev/null))
  if [[ "$last" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then
    local prefix="\${last%"\${last##*:}"}" i
    for i in "\${!COMPREPLY[@]}"; do COMPREPLY[i]="\${COMPREPLY[i]#"$prefix"}"; done
  fi
  [[ \${#COMPREPLY[@]} -eq 1 && "\${COMPREPLY[0]}" == *[:/=] ]] && compopt -o nospace
}
complete -o default -F _${program}_complete ${program}
`,
  zsh: (program) => `#compdef ${program}
_${program}() {
  local -a found
  found=("\${(@f)$(${program} __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  [[ -n "\${found[1]}" ]] && compadd -Q -- "\${found[@]}" || _files
}
compdef _${program} ${program}
`,
  fish: (program) => `function __${program}_complete
  set -l words (commandline -opc) (commandline -ct)
  ${program} __complete -- $words[2..-1] 2>/dev/null
end
complete -c ${program} -f -a '(__${program}_complete)'
`,
};

export const completion: Run = async (invocation) => {
  const script = scripts[invocation.arg(0)];
  if (script === undefined) throw invalid(`There is no completion for ${JSON.stringify(invocation.arg(0))}, only for ${Object.keys(scripts).join(', ')}`);
  invocation.terminal.out(script(invocation.program));
};

/** What may stand where the last word is: a line each. Says nothing about what it cannot find out. */
export const complete: Run = async (invocation) => {
  const words = invocation.args.length === 0 ? [''] : invocation.args;
  const candidates = await candidatesFor(invocation, words.slice(0, -1), words.at(-1)!).catch(() => []);
  const fitting = [...new Set(candidates)].filter((one) => one.startsWith(words.at(-1)!)).sort();
  if (fitting.length > 0) invocation.terminal.out(`${fitting.join('\n')}\n`);
};

async function candidatesFor(invocation: Invocation, before: readonly string[], last: string): Promise<string[]> {
  let command: Command = invocation.root;
  const args: string[] = [];
  let project = '';
  for (let index = 0; index < before.length; index++) {
    const word = before[index]!;
    const flag = [...command.flags, ...globalFlags].find((one) => word === `--${one.name}` || word === `-${one.short}`);
    if (flag !== undefined) {
      if (flag.kind === 'bool' || flag.bare !== undefined) continue;
      index++;
      if (index >= before.length) return flagValues(invocation, flag.name, last);
      if (flag.name === 'project') project = before[index]!;
      continue;
    }
    if (word.startsWith('-')) continue;
    const next = args.length === 0 ? command.commands.find((one) => one.name === word || one.aliases.includes(word)) : undefined;
    if (next === undefined) args.push(word);
    else command = next;
  }
  if (last.startsWith('-')) return [...command.flags, ...globalFlags].filter((flag) => !flag.hidden).map((flag) => `--${flag.name}`);
  if (command.commands.length > 0) return command.commands.filter((one) => !one.name.startsWith('_')).map((one) => one.name);
  return argumentValues(invocation, command, args, last, project);
}

/** What an argument's name in the usage line says it is, and where the server lists those. */
const listed: readonly (readonly [RegExp, readonly string[]])[] = [
  [/<(instance|source|destination)>|<instance>\[?\//, ['instances']], [/<image>/, ['images', 'aliases']], [/<network>/, ['networks']], [/<pool>/, ['storage-pools']], [/<profiles?>/, ['profiles']], [/<project>/, ['projects']],
  [/<(member|cluster member)>/, ['cluster', 'members']], [/<group>/, ['cluster', 'groups']], [/<ACL>/, ['network-acls']], [/<zone>/i, ['network-zones']], [/<alias>/, ['images', 'aliases']], [/<fingerprint>/, ['certificates']],
  [/<operation>/, ['operations']], [/<warning-uuid>/, ['warnings']],
];

async function argumentValues(invocation: Invocation, command: Command, args: readonly string[], last: string, project: string): Promise<string[]> {
  const words = command.usage.split(/ (?![^[]*\])/);
  const word = words[Math.min(args.length, words.length - 1)] ?? '';
  const { config } = invocation;
  if (command.name === 'switch' || word.startsWith('<remote>')) return [...config.remotes.keys()];
  const colon = last.indexOf(':');
  const remote = colon < 0 ? config.defaultRemote : last.slice(0, colon);
  const prefix = colon < 0 ? '' : `${remote}:`;
  const remotes = colon < 0 && word.includes('<remote>') ? [...config.remotes.keys()].map((name) => `${name}:`) : [];
  if (args.length > 0) {
    const inside = await nested(invocation, words, args, project);
    if (inside !== undefined) return inside;
  }
  const found = listed.find(([pattern]) => pattern.test(word));
  if (found === undefined) return remotes;
  return [...remotes.filter((one) => one !== `${config.defaultRemote}:`), ...(await names(invocation, remote, found[1], project)).map((name) => `${prefix}${name}`)];
}

/** Devices, snapshots and volumes of what was named before. `words` are those of the usage line. */
async function nested(invocation: Invocation, words: readonly string[], args: readonly string[], project: string): Promise<string[] | undefined> {
  const word = words[Math.min(args.length, words.length - 1)]!;
  if (/<device( name)?>|^<name>\.\.\.$/.test(word)) {
    const owner = words.findIndex((one) => /<(instance|profile)>/.test(one));
    if (owner < 0 || owner >= args.length) return undefined;
    const { remote, name } = invocation.parse(args[owner]!);
    const collection = words[owner]!.includes('<profile>') ? 'profiles' : 'instances';
    const { devices } = await asked(invocation, remote, project, (api) => api.get<{ devices: object | null }>(url([collection, name]), { signal: AbortSignal.timeout(3000) }));
    return Object.keys(devices ?? {});
  }
  const { remote, name } = invocation.parse(args[0]!);
  if (/<snapshot>/.test(word)) return names(invocation, remote, args.length > 1 && words[1]!.includes('<volume>') ? ['storage-pools', name, 'volumes', 'custom', args[1]!, 'snapshots'] : ['instances', name, 'snapshots'], project);
  if (/<volume>/.test(word)) return names(invocation, remote, ['storage-pools', name, 'volumes', 'custom'], project);
  return undefined;
}

async function asked<T>(invocation: Invocation, remote: string, project: string, ask: (api: ApiClient) => Promise<T>): Promise<T> {
  const api = invocation.api(remote, project || undefined);
  try {
    return await ask(api);
  } finally {
    api.close();
  }
}

async function names(invocation: Invocation, remote: string, path: readonly string[], project: string): Promise<string[]> {
  const found = await asked(invocation, remote, project, (api) => api.get<string[] | Record<string, string[]>>(url(path), { signal: AbortSignal.timeout(3000) }));
  return (Array.isArray(found) ? found : Object.values(found).flat()).map((one) => decodeURIComponent(one.split('?')[0]!.split('/').at(-1)!));
}

async function flagValues(invocation: Invocation, flag: string, last: string): Promise<string[]> {
  const { defaultRemote } = invocation.config;
  switch (flag) {
    case 'format': return ['table', 'csv', 'json', 'yaml', 'compact'];
    case 'mode': return ['pull', 'push', 'relay', 'auto', 'interactive', 'non-interactive'];
    case 'project': case 'target-project': return names(invocation, defaultRemote, ['projects'], '');
    case 'profile': return names(invocation, defaultRemote, ['profiles'], '');
    case 'network': return names(invocation, defaultRemote, ['networks'], '');
    case 'storage': return names(invocation, defaultRemote, ['storage-pools'], '');
    case 'target': return [...await names(invocation, defaultRemote, ['cluster', 'members'], ''), ...(last.startsWith('@') ? (await names(invocation, defaultRemote, ['cluster', 'groups'], '')).map((name) => `@${name}`) : [])];
    default: return [];
  }
}
