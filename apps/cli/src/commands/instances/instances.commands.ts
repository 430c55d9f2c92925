import { bool, format, int, list, target, text, uint, verb, type Command, type Flag } from '../../grammar/command.js';

const consoleFlag = text('console', 'Attach to the console at once', undefined, '', { bare: 'console' });

const creationFlags: readonly Flag[] = [
  list('config', 'Key and value for the new instance', 'c'), list('device', 'Key and value of a device: <device>,<key>=<value>', 'd'), bool('empty', 'Make it without an image'),
  bool('ephemeral', 'Delete it when it stops', 'e'), text('network', 'Network to attach it to', 'n'), bool('no-profiles', 'Apply no profile'), list('profile', 'Profile to apply', 'p'),
  text('storage', 'Storage pool for its root disk', 's'), text('target', 'Cluster member to make it on'), text('type', 'Size, as clouds name it', 't'), bool('vm', 'A virtual machine'),
];

const transferFlags = (what: string): readonly Flag[] => [
  bool('allow-inconsistent', 'Ignore files that change while they are copied'), list('config', `Key and value for the ${what} instance`, 'c'), list('device', 'Key and value of a device: <device>,<key>=<value>', 'd'),
  bool('instance-only', 'Without its snapshots'), text('mode', 'Who connects to whom: pull, push or relay', undefined, 'pull'), bool('no-profiles', 'Apply no profile'),
  list('profile', 'Profile to apply', 'p'), bool('stateless', 'Without its running state'), text('storage', 'Storage pool', 's'), target, text('target-project', 'Project it goes to'),
];

const modes = `Transfer modes:
 - pull: the target connects to the source, which must listen on the network
 - push: the source connects to the target, which must listen on the network
 - relay: this program connects to both and hands on what the one sends to the other`;

const state = () => import('./state.js');

export const instanceCommands: readonly Command[] = [
  verb('list', '[<remote>:] [<filter>...]', 'List instances', async () => (await import('./list.js')).list, {
    aliases: ['ls'], args: [0, Infinity],
    flags: [bool('all-projects', 'Instances of all projects'), text('columns', 'Which columns', 'c', 'ns46tSL'), bool('fast', 'What costs the server little: -c nsacPt'), format],
    details: `A filter is one of:
  web                  names that begin with it
  ^web-[0-9]+$         a regular expression on the name
  user.owner=me        a configuration key and a value, or a regular expression for it;
                       the namespace may be shortened (u.owner, s.privileged)
  type=, status=, architecture=, location=, ipv4=, ipv6=
                       several values with commas between; addresses also as networks
An instance is listed when all filters fit.

Columns (-c) are letters, and keys with commas between:
  4 IPv4 addresses       6 IPv6 addresses     a architecture      b storage pool
  c creation date        d description        D disk usage        e project
  f image (short)        F image (long)       l last used         L cluster member
  m memory usage         M memory usage (%)   n name              N processes
  p pid                  P profiles           s state             S snapshots
  t type                 u CPU seconds
  [config:|devices:]key[:heading][:width]     a configuration or device key`,
    examples: [['$0 list -c nFs46,volatile.eth0.hwaddr:MAC,config:image.os', 'Names, images, states, addresses and two configuration keys.'], ['$0 list status=running -c ns,user.comment:comment', 'What runs, and what was noted about it.']],
  }),
  verb('init', '[<remote>:]<image> [<remote>:][<name>]', 'Create an instance without starting it', async () => (await import('./create.js')).init, {
    hidden: true, args: [0, 2], flags: creationFlags, examples: [['$0 init ubuntu:22.04 u1', 'A container, stopped.'], ['$0 init ubuntu:22.04 v1 --vm -c limits.cpu=4 -c limits.memory=4GiB', 'A virtual machine of a certain size.']],
  }),
  verb('launch', '[<remote>:]<image> [<remote>:][<name>]', 'Create and start an instance', async () => (await import('./create.js')).launch, {
    args: [1, 2], flags: [...creationFlags, consoleFlag], examples: [['$0 launch ubuntu:22.04 u1', 'A container.'], ['$0 launch ubuntu:22.04 u1 < config.yaml', 'Configured by a file.'], ['$0 launch ubuntu:22.04 v1 --vm', 'A virtual machine.']],
  }),
  verb('start', '[<remote>:]<instance> [[<remote>:]<instance>...]', 'Start instances', async () => (await state()).start, {
    args: [0, Infinity], flags: [bool('all', 'All instances'), consoleFlag, bool('stateless', 'Forget the stored running state')],
  }),
  verb('stop', '[<remote>:]<instance> [[<remote>:]<instance>...]', 'Stop instances', async () => (await state()).stop, {
    args: [0, Infinity], flags: [bool('all', 'All instances'), consoleFlag, bool('force', 'Stop it at once', 'f'), bool('stateful', 'Store the running state'), int('timeout', 'Seconds before it is stopped by force', undefined, '-1')],
  }),
  verb('restart', '[<remote>:]<instance> [[<remote>:]<instance>...]', 'Restart instances', async () => (await state()).restart, {
    args: [0, Infinity], flags: [bool('all', 'All instances'), consoleFlag, bool('force', 'Stop it at once', 'f'), int('timeout', 'Seconds before it is stopped by force', undefined, '-1')],
  }),
  verb('pause', '[<remote>:]<instance> [[<remote>:]<instance>...]', 'Freeze instances', async () => (await state()).pause, {
    hidden: true, args: [0, Infinity], flags: [bool('all', 'All instances')], details: '"start" lets them go on.',
  }),
  verb('delete', '[<remote>:]<instance>[/<snapshot>] [[<remote>:]<instance>[/<snapshot>]...]', 'Delete instances and snapshots', async () => (await import('./delete.js')).remove, {
    aliases: ['rm'], args: [1, Infinity], flags: [bool('force', 'Also what runs', 'f'), bool('interactive', 'Ask before each', 'i')],
  }),
  verb('exec', '[<remote>:]<instance> [flags] [--] <command line>', 'Run a command in an instance', async () => (await import('./exec.js')).exec, {
    args: [2, Infinity],
    flags: [
      text('cwd', 'Directory to run it in (default /root)'), bool('disable-stdin', 'Give it no input', 'n'), list('env', 'Variable of its environment: KEY=value'),
      bool('force-interactive', 'With a terminal', 't'), bool('force-noninteractive', 'Without a terminal', 'T'), uint('group', 'Group id to run as'),
      text('mode', 'auto, interactive or non-interactive', undefined, 'auto'), uint('user', 'User id to run as'),
    ],
    details: 'No shell is involved: patterns, variables and pipes need one named.\nThe command has a terminal when both its input and its output are one here.', examples: [['$0 exec c1 -- sh -c "cd /tmp && pwd"', 'A line for a shell.'], ['$0 exec c1 --user 1000 --env LANG=C.UTF-8 -- make', 'As another user.']],
  }),
  verb('console', '[<remote>:]<instance>', 'Attach to the console of an instance', async () => (await import('./console.js')).console_, {
    flags: [bool('show-log', 'Print what it said so far'), text('type', "'console' or 'vga'", 't', 'console')], details: '<ctrl>+a q leaves it.',
  }),
  verb('info', '[<remote>:][<instance>]', 'Show an instance or a server', async () => (await import('./info.js')).info, {
    args: [0, 1], flags: [bool('resources', 'The hardware of the server'), bool('show-log', 'The end of the log of the instance'), target], examples: [['$0 info c1 --show-log', 'An instance and why it did not start.'], ['$0 info --resources', 'What the server has.']],
  }),
  verb('rename', '[<remote>:]<instance>[/<snapshot>] <instance>[/<snapshot>]', 'Rename an instance or a snapshot', async () => (await import('./rename.js')).rename, { args: [2, 2] }),
  verb('snapshot', '[<remote>:]<instance> [<snapshot name>]', 'Make a snapshot of an instance', async () => (await import('./snapshot.js')).snapshot, {
    args: [1, 2], flags: [bool('no-expiry', 'Keep it, whatever the instance says'), bool('reuse', 'Replace one of the same name'), bool('stateful', 'With the running state')], examples: [['$0 snapshot u1 snap0', 'Makes "snap0" of "u1".']],
  }),
  verb('restore', '[<remote>:]<instance> <snapshot>', 'Restore an instance from a snapshot', async () => (await import('./snapshot.js')).restore, {
    flags: [bool('stateful', 'With the running state, if it has one')], examples: [['$0 snapshot u1 snap0', 'Makes the snapshot.'], ['$0 restore u1 snap0', 'Goes back to it.']],
  }),
  verb('copy', '[<remote>:]<source>[/<snapshot>] [[<remote>:]<destination>]', 'Copy an instance, also between servers', async () => (await import('./copy.js')).copy, {
    aliases: ['cp'], args: [1, 2], details: modes, flags: [...transferFlags('new'), bool('ephemeral', 'Delete it when it stops', 'e'), bool('refresh', 'Bring an existing copy up to date')],
  }),
  verb('move', '[<remote>:]<instance>[/<snapshot>] [<remote>:][<instance>[/<snapshot>]]', 'Move or rename an instance, also between servers', async () => (await import('./move.js')).move, {
    aliases: ['mv'], args: [1, 2], details: modes, flags: transferFlags('moved'), examples: [['$0 move c1 other:c1', 'To another server.'], ['$0 move c1 --target member2', 'To another member of the cluster.'], ['$0 move c1/snap0 c1/before-upgrade', 'A new name for a snapshot.']],
  }),
  verb('publish', '[<remote>:]<instance>[/<snapshot>] [<remote>:] [flags] [key=value...]', 'Make an image of an instance', async () => (await import('./publish.js')).publish, {
    args: [1, Infinity], flags: [list('alias', 'Alias for the image'), text('compression', 'Program to compress it with, or none'), text('expire', 'When it expires, as RFC 3339'), bool('force', 'Stop the instance if it runs', 'f'), bool('public', 'Let everybody have it')],
  }),
  verb('export', '[<remote>:]<instance> [target] [--instance-only] [--optimized-storage]', 'Download a backup of an instance', async () => (await import('./export.js')).exportInstance, {
    args: [1, 2], examples: [['$0 export u1 backup0.tar.gz', 'A backup of "u1".']],
    flags: [text('compression', 'Program to compress it with, or none'), bool('instance-only', 'Without its snapshots'), bool('optimized-storage', "In the storage driver's own format: for similar pools only")],
  }),
  verb('import', '[<remote>:] <backup file> [<instance name>]', 'Make an instance of a backup', async () => (await import('./export.js')).importInstance, {
    args: [1, 3], flags: [text('storage', 'Storage pool', 's')], examples: [['$0 import backup0.tar.gz', 'What "export" has written.']],
  }),
];
