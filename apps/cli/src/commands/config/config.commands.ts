import { bool, format, group, list, target, text, verb, type Command } from '../../grammar/command.js';

const config = () => import('./config.js');
const device = () => import('./device.js');
const files = () => import('./instance-files.js');
const trust = () => import('./trust.js');

function deviceCommands(what: 'instance' | 'profile'): Command[] {
  const owner = `[<remote>:]<${what}>`;
  const example = what === 'instance' ? ['$0 config device add c1 share disk source=/srv path=/mnt', 'Mounts /srv of the host at /mnt.'] as const : ['$0 profile device add p1 eth0 nic network=lxdbr0', 'A network interface for all that have the profile.'] as const;
  const commands = [
    verb('add', `${owner} <device> <type> [key=value...]`, 'Add a device', async () => (await device()).add(what), { args: [3, Infinity], examples: [example] }),
    verb('get', `${owner} <device> <key>`, 'Print the value of a key', async () => (await device()).get(what)),
    verb('list', owner, 'List the devices', async () => (await device()).list(what), { aliases: ['ls'] }),
    verb('remove', `${owner} <name>...`, 'Remove devices', async () => (await device()).remove(what), { aliases: ['rm'], args: [2, Infinity] }),
    verb('set', `${owner} <device> <key>=<value>...`, 'Set keys of a device', async () => (await device()).set(what), { args: [3, Infinity], details: 'A single key may also be set as: <key> <value>' }),
    verb('show', owner, 'Show all devices', async () => (await device()).show(what)),
    verb('unset', `${owner} <device> <key>`, 'Remove a key of a device', async () => (await device()).unset(what)),
  ];
  if (what === 'profile') return commands;
  return [...commands, verb('override', `${owner} <device> [key=value...]`, 'Copy a device of a profile to the instance, with other values', async () => (await device()).override, { args: [2, Infinity] })];
}

export const configCommand = group('config', 'Configure instances and servers', [
  verb('edit', '[<remote>:][<instance>[/<snapshot>]]', 'Edit the configuration as YAML', async () => (await config()).edit, { args: [0, 1], flags: [target], examples: [['$0 config edit c1 < c1.yaml', 'Takes the configuration from a file.']] }),
  verb('get', '[<remote>:][<instance>] <key>', 'Print the value of a key', async () => (await config()).get, { args: [1, 2], flags: [bool('expanded', 'With what profiles add', 'e'), target] }),
  verb('set', '[<remote>:][<instance>] <key>=<value>...', 'Set keys', async () => (await config()).set, {
    args: [1, Infinity], flags: [target], details: 'A single key may also be set as: <key> <value>', examples: [['$0 config set c1 limits.cpu=2 limits.memory=1GiB', 'Limits of an instance.'], ['$0 config set core.https_address=[::]:8443', 'Lets the server listen on the network.']],
  }),
  verb('show', '[<remote>:][<instance>[/<snapshot>]]', 'Show the configuration', async () => (await config()).show, { args: [0, 1], flags: [bool('expanded', 'With what profiles add', 'e'), target] }),
  verb('unset', '[<remote>:][<instance>] <key>', 'Remove a key', async () => (await config()).unset, { args: [1, 2], flags: [target] }),
  group('device', 'Devices of an instance', deviceCommands('instance')),
  group('metadata', 'The metadata file of an instance', [
    verb('edit', '[<remote>:]<instance>', 'Edit it', async () => (await files()).editMetadata),
    verb('show', '[<remote>:]<instance>', 'Show it', async () => (await files()).showMetadata),
  ]),
  group('template', 'File templates of an instance', [
    verb('create', '[<remote>:]<instance> <template>', 'Make a template', async () => (await files()).createTemplate),
    verb('delete', '[<remote>:]<instance> <template>', 'Delete a template', async () => (await files()).deleteTemplate, { aliases: ['rm'] }),
    verb('edit', '[<remote>:]<instance> <template>', 'Edit a template', async () => (await files()).editTemplate),
    verb('list', '[<remote>:]<instance>', 'List the templates', async () => (await files()).listTemplates, { flags: [format] }),
    verb('show', '[<remote>:]<instance> <template>', 'Show a template', async () => (await files()).showTemplate),
  ]),
  group('trust', 'Clients the server trusts', [
    verb('add', '[<remote>:] [<cert>]', 'Trust a client', async () => (await trust()).add, {
      args: [0, 2], flags: [text('name', 'Name for the certificate'), text('projects', 'Projects it is for, with commas between'), bool('restricted', 'For those projects only'), text('type', 'client or metrics', undefined, 'client')],
      details: 'With a certificate, that one. Without, a token is printed which a client shows once, with `remote add`.',
    }),
    verb('edit', '[<remote>:]<fingerprint>', 'Edit a certificate as YAML', async () => (await trust()).edit),
    verb('list', '[<remote>:]', 'List the clients', async () => (await trust()).list, { aliases: ['ls'], args: [0, 1], flags: [format] }),
    verb('list-tokens', '[<remote>:]', 'List tokens nobody has used yet', async () => (await trust()).listTokens, { args: [0, 1], flags: [format] }),
    verb('remove', '[<remote>:]<fingerprint>', 'Trust a client no more', async () => (await trust()).remove, { aliases: ['rm'], args: [1, 2] }),
    verb('revoke-token', '[<remote>:] <name>', 'Make a token worthless', async () => (await trust()).revokeToken, { args: [1, 2] }),
    verb('show', '[<remote>:]<fingerprint>', 'Show a certificate', async () => (await trust()).show),
  ]),
]);

const profile = () => import('./profile.js');

export const profileCommand = group('profile', 'Configure profiles', [
  verb('add', '[<remote>:]<instance> <profile>', 'Add a profile to an instance', async () => (await profile()).add),
  verb('assign', '[<remote>:]<instance> <profiles>', 'Give an instance these profiles and no others', async () => (await profile()).assign, { aliases: ['apply'], examples: [['$0 profile assign c1 default,web', 'Two, the second counting more.'], ["$0 profile assign c1 ''", 'None.']] }),
  verb('copy', '[<remote>:]<profile> [<remote>:]<profile>', 'Copy a profile', async () => (await profile()).copy, { aliases: ['cp'], args: [2, 2], flags: [text('target-project', 'Project it goes to')] }),
  verb('create', '[<remote>:]<profile>', 'Create a profile', async () => (await profile()).create),
  verb('delete', '[<remote>:]<profile>', 'Delete a profile', async () => (await profile()).kind.remove, { aliases: ['rm'] }),
  verb('edit', '[<remote>:]<profile>', 'Edit a profile as YAML', async () => (await profile()).kind.edit, { examples: [['$0 profile edit p1 < p1.yaml', 'Takes it from a file.']] }),
  verb('get', '[<remote>:]<profile> <key>', 'Print the value of a key', async () => (await profile()).kind.get),
  verb('list', '[<remote>:]', 'List profiles', async () => (await profile()).list, { aliases: ['ls'], args: [0, 1], flags: [format] }),
  verb('remove', '[<remote>:]<instance> <profile>', 'Take a profile from an instance', async () => (await profile()).remove),
  verb('rename', '[<remote>:]<profile> <new-name>', 'Rename a profile', async () => (await profile()).kind.rename, { aliases: ['mv'] }),
  verb('set', '[<remote>:]<profile> <key><value>...', 'Set keys', async () => (await profile()).kind.set, { args: [2, Infinity], details: 'A single key may also be set as: <key> <value>' }),
  verb('show', '[<remote>:]<profile>', 'Show a profile', async () => (await profile()).kind.show),
  verb('unset', '[<remote>:]<profile> <key>', 'Remove a key', async () => (await profile()).kind.unset),
  group('device', 'Devices of a profile', deviceCommands('profile')),
]);

const project = () => import('./project.js');

export const projectCommand = group('project', 'Manage projects', [
  verb('create', '[<remote>:]<project>', 'Create a project', async () => (await project()).create, { flags: [list('config', 'Key and value for it', 'c')] }),
  verb('delete', '[<remote>:]<project>', 'Delete a project', async () => (await project()).remove, { aliases: ['rm'] }),
  verb('edit', '[<remote>:]<project>', 'Edit a project as YAML', async () => (await project()).kind.edit, { examples: [['$0 project edit p1 < p1.yaml', 'Takes it from a file.']] }),
  verb('get', '[<remote>:]<project> <key>', 'Print the value of a key', async () => (await project()).kind.get),
  verb('info', '[<remote>:]<project> <key>', 'Show what it uses of what it may', async () => (await project()).info, { args: [1, 1], flags: [format] }),
  verb('list', '[<remote>:]', 'List projects', async () => (await project()).list, { aliases: ['ls'], args: [0, 1], flags: [format] }),
  verb('rename', '[<remote>:]<project> <new-name>', 'Rename a project', async () => (await project()).kind.rename, { aliases: ['mv'] }),
  verb('set', '[<remote>:]<project> <key>=<value>...', 'Set keys', async () => (await project()).kind.set, { args: [2, Infinity], details: 'A single key may also be set as: <key> <value>' }),
  verb('show', '[<remote>:]<project>', 'Show a project', async () => (await project()).kind.show),
  verb('switch', '[<remote>:]<project>', 'Work in another project from now on', async () => (await project()).switchTo),
  verb('unset', '[<remote>:]<project> <key>', 'Remove a key', async () => (await project()).kind.unset),
]);
