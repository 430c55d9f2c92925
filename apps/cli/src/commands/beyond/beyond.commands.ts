import { bool, int, text, verb, type Command } from '../../grammar/command.js';

/** What `lxc` does not have. */
export const beyondCommands: readonly Command[] = [
  verb('apply', '[<remote>:]', 'Make a server as files describe it', async () => (await import('./apply/apply.js')).apply, {
    beyond: true, args: [0, 1], examples: [['$0 apply -f site --dry-run', 'What would change.'], ['$0 apply -f site --prune', 'Makes it so, and deletes what was described there once.']],
    flags: [bool('dry-run', 'Change nothing, say what would change'), text('file', 'Directory of descriptions, or one file', 'f'), text('name', 'Name of the whole, by which --prune knows its objects (default: that of the directory)'), bool('prune', 'Delete what was made from here and is described no more')],
    details: `Each YAML document describes one object:
  kind: project | pool | network | acl | profile | volume | instance | server
  name: web1
  project: default
  description, config        of every kind
  driver                     of a pool
  type                       of a network, a volume (filesystem, block) or an instance (container, virtual-machine)
  pool                       of a volume
  devices                    of a profile or an instance
  profiles, image, state     of an instance; the state is running (default) or stopped
  ingress, egress            of an acl
Objects are made and changed in the order they need each other. A second run changes nothing; what somebody has changed by hand since is
said to have drifted, and is changed back.`,
  }),
  verb('wait', '[<remote>:]<instance>', 'Wait until an instance is as wanted', async () => (await import('./wait.js')).wait, {
    beyond: true, examples: [['$0 wait c1 --for address', 'Until it can be reached.'], ['$0 wait c1 --for stopped --timeout 60', 'A minute at most.']],
    flags: [text('for', 'running, stopped, frozen, address, ipv4, ipv6, agent or gone', undefined, 'running'), int('timeout', 'Seconds to wait', undefined, '300')],
  }),
  verb('top', '[<remote>:]', 'Watch what instances use', async () => (await import('./top.js')).top, {
    beyond: true, args: [0, 1], flags: [bool('all-projects', 'Instances of all projects'), int('interval', 'Seconds between two looks', undefined, '2'), int('count', 'End after so many looks'), text('sort', 'cpu, memory, disk, network or name', undefined, 'cpu')], details: 'q ends it; c, m, d, x and n choose what it is ordered by.',
  }),
  verb('port-forward', '[<remote>:]<instance> [<address>:]<port>:<port>...', 'Reach a port of an instance at a port here', async () => (await import('./port-forward.js')).portForward, {
    beyond: true, args: [2, Infinity], examples: [['$0 port-forward web 8080:80', 'http://127.0.0.1:8080 is port 80 of "web".']], details: 'Ports here are open to this machine only, unless an address is named. The instance needs `nc`, `socat` or `bash`.\n<ctrl>+c ends it.',
  }),
  verb('history', '[<remote>:]<instance>', 'Show what is known of the past of an instance', async () => (await import('./history.js')).history, { beyond: true, details: 'When it was made, from what, its snapshots and backups, when it was last started, and what is being done to it now.' }),
  verb('explain', '[<remote>:]<instance> [<key>]', 'Say where an instance and its settings come from', async () => (await import('./explain.js')).explain, {
    beyond: true, args: [1, 2], examples: [['$0 explain c1', 'Member, devices and settings, and which profile each comes from.'], ['$0 explain c1 limits.memory', 'One setting.']],
  }),
  verb('completion', '<shell>', 'Print the completion for a shell: bash, zsh or fish', async () => (await import('./completion.js')).completion, {
    beyond: true, examples: [['source <($0 completion bash)', 'For this shell.']],
  }),
  verb('__complete', '<words>...', 'Names that may follow', async () => (await import('./completion.js')).complete, { beyond: true, hidden: true, args: [0, Infinity] }),
];

