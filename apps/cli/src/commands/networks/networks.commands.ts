import { bool, format, group, target, text, uint, verb, type Command } from '../../grammar/command.js';
import type { ConfigKind } from '../config-kind.js';

const network = () => import('./network.js');
const attach = () => import('./attach.js');
const acl = () => import('./acl.js');
const forward = () => import('./forward.js');
const peer = () => import('./peer.js');
const zone = () => import('./zone.js');

/** The seven every kind of object with a configuration has. */
function keyed(name: string, owner: string, load: () => Promise<{ readonly kind: ConfigKind }>, flags: Record<string, readonly typeof target[]> = {}, showOwner = owner): Command[] {
  const words = owner.split(' ').length;
  return [
    verb('delete', owner, `Delete a ${name}`, async () => (await load()).kind.remove, { aliases: ['rm'], flags: flags['delete'] ?? [] }),
    verb('edit', owner, `Edit a ${name} as YAML`, async () => (await load()).kind.edit, { flags: flags['edit'] ?? [] }),
    verb('get', `${owner} <key>`, 'Print the value of a key', async () => (await load()).kind.get, { flags: flags['get'] ?? [] }),
    verb('set', `${owner} <key>=<value>...`, 'Set keys', async () => (await load()).kind.set, { args: [words + 1, Infinity], flags: flags['set'] ?? [], details: 'A single key may also be set as: <key> <value>' }),
    verb('show', showOwner, `Show a ${name}`, async () => (await load()).kind.show, { args: [words, words], flags: flags['show'] ?? [] }),
    verb('unset', `${owner} <key>`, 'Remove a key', async () => (await load()).kind.unset, { flags: flags['unset'] ?? [] }),
  ];
}

const aclCommand = group('acl', 'Access control lists', [
  ...keyed('list of rules', '[<remote>:]<ACL>', acl),
  verb('create', '[<remote>:]<ACL> [key=value...]', 'Create a list of rules', async () => (await acl()).create, { args: [1, Infinity] }),
  verb('list', '[<remote>:]', 'List them', async () => (await acl()).list, { aliases: ['ls'], args: [0, 1], flags: [format] }),
  verb('rename', '[<remote>:]<ACL> <new-name>', 'Rename a list of rules', async () => (await acl()).kind.rename, { aliases: ['mv'] }),
  verb('show-log', '[<remote>:]<ACL>', 'Show what its rules have logged', async () => (await acl()).showLog),
  group('rule', 'The rules of a list', [
    verb('add', '[<remote>:]<ACL> <direction> <key>=<value>...', 'Add a rule', async () => (await acl()).addRule, { args: [2, Infinity] }),
    verb('remove', '[<remote>:]<ACL> <direction> <key>=<value>...', 'Remove a rule', async () => (await acl()).removeRule, { args: [2, Infinity], flags: [bool('force', 'All that fit')] }),
  ], { lax: true }),
]);

const forwardCommand = group('forward', 'Addresses forwarded into a network', [
  ...keyed('forward', '[<remote>:]<network> <listen_address>', forward, { delete: [target], edit: [target], set: [target], show: [target] }),
  verb('create', '[<remote>:]<network> <listen_address> [key=value...]', 'Create a forward', async () => (await forward()).create, { args: [2, Infinity], flags: [target] }),
  verb('list', '[<remote>:]<network>', 'List forwards', async () => (await forward()).list, { aliases: ['ls'], flags: [format] }),
  group('port', 'Ports of a forward', [
    verb('add', '[<remote>:]<network> <listen_address> <protocol> <listen_port(s)> <target_address> [<target_port(s)>]', 'Add ports', async () => (await forward()).addPort, { args: [5, 6], flags: [target] }),
    verb('remove', '[<remote>:]<network> <listen_address> [<protocol>] [<listen_port(s)>]', 'Remove ports', async () => (await forward()).removePort, { args: [2, 4], flags: [bool('force', 'All that fit'), target] }),
  ], { lax: true }),
]);

const peerCommand = group('peer', 'Peerings of networks', [
  ...keyed('peering', '[<remote>:]<network> <peer_name>', peer, {}, '[<remote>:]<network> <peer name>'),
  verb('create', '[<remote>:]<network> <peer_name> <[target project/]target_network> [key=value...]', 'Create a peering', async () => (await peer()).create, { args: [3, Infinity] }),
  verb('list', '[<remote>:]<network>', 'List peerings', async () => (await peer()).list, { aliases: ['ls'], flags: [format] }),
]);

const zoneCommand = group('zone', 'DNS zones', [
  ...keyed('zone', '[<remote>:]<Zone>', zone),
  verb('create', '[<remote>:]<Zone> [key=value...]', 'Create a zone', async () => (await zone()).create, { args: [1, Infinity] }),
  verb('list', '[<remote>:]', 'List zones', async () => (await zone()).list, { aliases: ['ls'], args: [0, 1], flags: [format] }),
  group('record', 'Records of a zone', [
    ...keyed('record', '[<remote>:]<zone> <record>', async () => ({ kind: (await zone()).recordKind })),
    verb('create', '[<remote>:]<zone> <record> [key=value...]', 'Create a record', async () => (await zone()).createRecord, { args: [2, Infinity] }),
    verb('list', '[<remote>:]<zone>', 'List records', async () => (await zone()).listRecords, { aliases: ['ls'], flags: [format] }),
    group('entry', 'Entries of a record', [
      verb('add', '[<remote>:]<zone> <record> <type> <value>', 'Add an entry', async () => (await zone()).addEntry, { flags: [uint('ttl', 'Seconds it may be kept')] }),
      verb('remove', '[<remote>:]<zone> <record> <type> <value>', 'Remove an entry', async () => (await zone()).removeEntry),
    ], { lax: true }),
  ]),
]);

export const networkCommand = group('network', 'Manage networks, and attach instances to them', [
  ...keyed('network', '[<remote>:]<network>', network, { get: [target], set: [target], show: [target], unset: [target] }),
  verb('attach', '[<remote>:]<network> <instance> [<device name>] [<interface name>]', 'Attach an instance', async () => (await attach()).attach('instance'), { args: [2, 4] }),
  verb('attach-profile', '[<remote>:]<network> <profile> [<device name>] [<interface name>]', 'Attach all that have a profile', async () => (await attach()).attach('profile'), { args: [2, 4] }),
  verb('create', '[<remote>:]<network> [key=value...]', 'Create a network', async () => (await network()).create, { args: [1, Infinity], flags: [target, text('type', 'Its type', 't')] }),
  verb('detach', '[<remote>:]<network> <instance> [<device name>]', 'Detach an instance', async () => (await attach()).detach('instance'), { args: [2, 3] }),
  verb('detach-profile', '[<remote>:]<network> <profile> [<device name>]', 'Detach all that have a profile', async () => (await attach()).detach('profile'), { args: [2, 3] }),
  verb('info', '[<remote>:]<network>', 'Show its state', async () => (await network()).info, { flags: [target] }),
  verb('list', '[<remote>:]', 'List networks', async () => (await network()).list, { aliases: ['ls'], args: [0, 1], flags: [format] }),
  verb('list-leases', '[<remote>:]<network>', 'List addresses handed out', async () => (await network()).listLeases, { flags: [format] }),
  verb('rename', '[<remote>:]<network> <new-name>', 'Rename a network', async () => (await network()).kind.rename, { aliases: ['mv'] }),
  aclCommand, forwardCommand, peerCommand, zoneCommand,
]);
