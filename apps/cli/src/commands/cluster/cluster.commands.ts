import { bool, format, group, text, verb } from '../../grammar/command.js';

const members = () => import('./members.js');
const tokens = () => import('./tokens.js');
const groups = () => import('./groups.js');
const roles = () => import('./roles.js');

export const clusterCommand = group('cluster', 'Manage the members of a cluster', [
  verb('add', '[[<remote>:]<member>]', 'Make a token for a new member', async () => (await tokens()).add, { args: [1, 1], flags: [text('name', 'Name of the member')] }),
  verb('edit', '[<remote>:]<cluster member>', 'Edit a member as YAML', async () => (await members()).kind.edit, { args: [1, 1], examples: [['$0 cluster edit m1 < m1.yaml', 'Takes it from a file.']] }),
  verb('enable', '[<remote>:] <name>', 'Make a server the first member of a cluster', async () => (await members()).enable, { args: [1, 2], details: 'It must listen on the network: `config get core.https_address` says where.' }),
  verb('evacuate', '[<remote>:]<member>', 'Take all instances off a member', async () => (await members()).evacuate, { aliases: ['evac'], flags: [bool('force', 'Do not ask')] }),
  verb('get', '[<remote>:]<member> <key>', 'Print the value of a key', async () => (await members()).kind.get),
  verb('list', '[<remote>:]', 'List the members', async () => (await members()).list, { aliases: ['ls'], args: [0, 1], flags: [format] }),
  verb('list-tokens', '[<remote>:]', 'List tokens nobody has used yet', async () => (await tokens()).list, { args: [0, 1], flags: [format] }),
  verb('remove', '[<remote>:]<member>', 'Remove a member', async () => (await members()).remove, { aliases: ['rm'], flags: [bool('force', 'Also one that does not answer', 'f'), bool('yes', 'Do not ask')] }),
  verb('rename', '[<remote>:]<member> <new-name>', 'Rename a member', async () => (await members()).kind.rename, { aliases: ['mv'] }),
  verb('restore', '[<remote>:]<member>', 'Bring the instances of a member back', async () => (await members()).restore, { flags: [bool('force', 'Do not ask')] }),
  verb('revoke-token', '[<remote>:]<member>', 'Make a token worthless', async () => (await tokens()).revoke),
  verb('set', '[<remote>:]<member> <key>=<value>...', 'Set keys', async () => (await members()).kind.set, { args: [2, Infinity] }),
  verb('show', '[<remote>:]<member>', 'Show a member', async () => (await members()).kind.show),
  verb('unset', '[<remote>:]<member> <key>', 'Remove a key', async () => (await members()).kind.unset),
  verb('update-certificate', '[<remote>:] <cert.crt> <cert.key>', 'Exchange the certificate of the cluster', async () => (await members()).updateCertificate, { aliases: ['update-cert'], args: [2, 3] }),
  group('group', 'Groups of members', [
    verb('assign', '[<remote>:]<member> <group>', 'Put a member into these groups and no others', async () => (await groups()).assign, { aliases: ['apply'], examples: [['$0 cluster group assign m1 default,gpu', 'Two groups.']] }),
    verb('create', '[<remote>:]<group>', 'Create a group', async () => (await groups()).create),
    verb('delete', '[<remote>:]<group>', 'Delete a group', async () => (await groups()).kind.remove, { aliases: ['rm'] }),
    verb('edit', '[<remote>:]<group>', 'Edit a group as YAML', async () => (await groups()).kind.edit),
    verb('list', '[<remote>:]', 'List groups', async () => (await groups()).list, { aliases: ['ls'], args: [0, 1], flags: [format] }),
    verb('remove', '[<remote>:]<member> <group>', 'Take a member out of a group', async () => (await groups()).remove),
    verb('rename', '[<remote>:]<group> <new-name>', 'Rename a group', async () => (await groups()).kind.rename, { aliases: ['mv'] }),
    verb('show', '[<remote>:]<group>', 'Show a group', async () => (await groups()).kind.show),
  ], { lax: true }),
  group('role', 'Roles of members', [
    verb('add', '[<remote>:]<member> <role[,role...]>', 'Give a member roles', async () => (await roles()).add, { args: [2, 2] }),
    verb('remove', '[<remote>:]<member> <role[,role...]>', 'Take roles from a member', async () => (await roles()).remove, { args: [2, 2] }),
  ]),
]);
