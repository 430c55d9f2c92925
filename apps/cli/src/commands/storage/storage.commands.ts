import { bool, format, group, target, text, verb, type Flag } from '../../grammar/command.js';

const pool = () => import('./pool.js');
const volume = () => import('./volume.js');
const attach = () => import('./volume-attach.js');
const transfer = () => import('./volume-transfer.js');
const snapshots = () => import('./volume-snapshots.js');

const moveFlags: readonly Flag[] = [text('destination-target', 'Cluster member it goes to'), text('mode', 'pull, push or relay', undefined, 'pull'), target, text('target-project', 'Project it goes to')];

const volumeCommand = group('volume', 'Manage volumes', [
  verb('attach', '[<remote>:]<pool> <volume> <instance> [<device name>] [<path>]', 'Attach a volume to an instance', async () => (await attach()).attach('instance'), { args: [3, 5] }),
  verb('attach-profile', '[<remote:>]<pool> <volume> <profile> [<device name>] [<path>]', 'Attach a volume to all that have a profile', async () => (await attach()).attach('profile'), { args: [3, 5] }),
  verb('copy', '[<remote>:]<pool>/<volume>[/<snapshot>] [<remote>:]<pool>/<volume>', 'Copy a volume', async () => (await transfer()).copy, { aliases: ['cp'], args: [2, 2], flags: [...moveFlags, bool('refresh', 'Bring an existing copy up to date'), bool('volume-only', 'Without its snapshots')] }),
  verb('create', '[<remote>:]<pool> <volume> [key=value...]', 'Create a volume', async () => (await volume()).create, { args: [2, Infinity], flags: [target, text('type', 'What is in it: block or filesystem', undefined, 'filesystem')] }),
  verb('delete', '[<remote>:]<pool> <volume>[/<snapshot>]', 'Delete a volume or a snapshot', async () => (await volume()).remove, { aliases: ['rm'], args: [2, 2], flags: [target] }),
  verb('detach', '[<remote>:]<pool> <volume> <instance> [<device name>]', 'Detach a volume from an instance', async () => (await attach()).detach('instance'), { args: [3, 4] }),
  verb('detach-profile', '[<remote:>]<pool> <volume> <profile> [<device name>]', 'Detach a volume from a profile', async () => (await attach()).detach('profile'), { args: [3, 4] }),
  verb('edit', '[<remote>:]<pool> <volume>[/<snapshot>]', 'Edit a volume as YAML', async () => (await volume()).edit, { args: [2, 2], flags: [target], examples: [['$0 storage volume edit default data < data.yaml', 'Takes it from a file.']] }),
  verb('export', '[<remote>:]<pool> <volume> [<path>]', 'Download a backup of a volume', async () => (await transfer()).exportVolume, { args: [2, 3], flags: [text('compression', 'Program to compress it with, or none'), bool('optimized-storage', "In the storage driver's own format: for similar pools only"), target, bool('volume-only', 'Without its snapshots')] }),
  verb('get', '[<remote>:]<pool> <volume>[/<snapshot>] <key>', 'Print the value of a key', async () => (await volume()).get, { args: [3, 3], flags: [target] }),
  verb('import', '[<remote>:]<pool> <backup file> [<volume name>]', 'Make a volume of a backup', async () => (await transfer()).importVolume, { args: [2, 3], flags: [target], examples: [['$0 storage volume import default backup0.tar.gz', 'What "export" has written.']] }),
  verb('info', '[<remote>:]<pool> <volume>', 'Show its state', async () => (await volume()).info, { flags: [target] }),
  verb('list', '[<remote>:]<pool> [<filter>...]', 'List volumes', async () => (await volume()).list, {
    aliases: ['ls'], args: [1, Infinity], flags: [bool('all-projects', 'Those of all projects'), text('columns', 'Which columns', 'c', 'etndcuL'), format],
    details: `Columns:
  c content type    d description    e project    L cluster member
  n name            t type           u used by    U disk usage`,
  }),
  verb('move', '[<remote>:]<pool>/<volume> [<remote>:]<pool>/<volume>', 'Move a volume between pools', async () => (await transfer()).move, { aliases: ['mv'], args: [2, 2], flags: moveFlags }),
  verb('rename', '[<remote>:]<pool> <old name>[/<old snapshot name>] <new name>[/<new snapshot name>]', 'Rename a volume or a snapshot', async () => (await volume()).rename, { args: [3, 3], flags: [target] }),
  verb('restore', '[<remote>:]<pool> <volume> <snapshot>', 'Restore a volume from a snapshot', async () => (await snapshots()).restore, { flags: [target] }),
  verb('set', '[<remote>:]<pool> <volume> <key>=<value>...', 'Set keys', async () => (await volume()).set, { args: [3, Infinity], flags: [target], details: 'A single key may also be set as: <key> <value>' }),
  verb('show', '[<remote>:]<pool> <volume>[/<snapshot>]', 'Show a volume', async () => (await volume()).show, { args: [2, 2], flags: [target], examples: [['$0 storage volume show default data', 'A volume of somebody.'], ['$0 storage volume show default container/c1', 'The root disk of an instance.']] }),
  verb('snapshot', '[<remote>:]<pool> <volume> [<snapshot>]', 'Make a snapshot of a volume', async () => (await snapshots()).snapshot, { args: [2, 3], flags: [bool('no-expiry', 'Keep it, whatever the volume says'), bool('reuse', 'Replace one of the same name'), target] }),
  verb('unset', '[<remote>:]<pool> <volume> <key>', 'Remove a key', async () => (await volume()).unset, { flags: [target] }),
], { details: 'Without a prefix (container/, virtual-machine/, image/) a name is that of a volume somebody made.' });

export const storageCommand = group('storage', 'Manage storage pools and volumes', [
  verb('create', '[<remote>:]<pool> <driver> [key=value...]', 'Create a pool', async () => (await pool()).create, { args: [2, Infinity], flags: [target] }),
  verb('delete', '[<remote>:]<pool>', 'Delete a pool', async () => (await pool()).kind.remove, { aliases: ['rm'] }),
  verb('edit', '[<remote>:]<pool>', 'Edit a pool as YAML', async () => (await pool()).kind.edit, { examples: [['$0 storage edit default < default.yaml', 'Takes it from a file.']] }),
  verb('get', '[<remote>:]<pool> <key>', 'Print the value of a key', async () => (await pool()).kind.get, { flags: [target] }),
  verb('info', '[<remote>:]<pool>', 'Show what is free and who uses it', async () => (await pool()).info, { flags: [bool('bytes', 'In bytes'), target] }),
  verb('list', '[<remote>:]', 'List pools', async () => (await pool()).list, { aliases: ['ls'], args: [0, 1], flags: [format] }),
  verb('set', '[<remote>:]<pool> <key> <value>', 'Set keys', async () => (await pool()).kind.set, { args: [2, Infinity], flags: [target], details: 'Several keys as: <key>=<value>...' }),
  verb('show', '[<remote>:]<pool>', 'Show a pool', async () => (await pool()).show, { flags: [bool('resources', 'What is free'), target] }),
  verb('unset', '[<remote>:]<pool> <key>', 'Remove a key', async () => (await pool()).kind.unset, { flags: [target] }),
  volumeCommand,
]);
