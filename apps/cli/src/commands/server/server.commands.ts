import { bool, format, group, int, list, text, verb, type Command } from '../../grammar/command.js';

const remotes = () => import('./remote.js');
const aliases = () => import('./alias.js');
const operations = () => import('./operation.js');
const warnings = () => import('./warning.js');
const files = () => import('../files/file.js');

const aliasCommand = group('alias', 'Manage aliases of commands', [
  verb('add', '<alias> <target>', 'Add an alias', async () => (await aliases()).add, { examples: [['$0 alias add ll "list -c ns46S"', '"ll" lists with these columns.'], ["$0 alias add login 'exec @ARGS@ -- su -l'", 'What is typed after "login" goes before the "--".']] }),
  verb('list', '', 'List aliases', async () => (await aliases()).list, { aliases: ['ls'], flags: [format] }),
  verb('remove', '<alias>', 'Remove an alias', async () => (await aliases()).remove, { aliases: ['rm'] }),
  verb('rename', '<old alias> <new alias>', 'Rename an alias', async () => (await aliases()).rename, { aliases: ['mv'], args: [2, 2] }),
]);

const remoteCommand = group('remote', 'Manage the servers this program knows', [
  verb('add', '[<remote>] <IP|FQDN|URL|token>', 'Add a server', async () => (await remotes()).add, {
    args: [1, 2], examples: [['$0 remote add two 10.0.0.2', 'A server, at port 8443.'], ['$0 remote add two eyJjbGllbn...', 'A server, by a token it has made.'], ['$0 remote add own https://LOGIN:PASSWORD@example.com/images --protocol=simplestreams', 'An image server with a password.']],
    flags: [bool('accept-certificate', 'Trust the certificate it shows'), text('auth-type', 'How to log in: tls'), text('domain', 'Candid domain'), text('password', 'Its trust password'), text('project', 'Project to work in'), text('protocol', 'lxd or simplestreams'), bool('public', 'Only its public images')],
  }),
  verb('get-default', '', 'Print the default server', async () => (await remotes()).getDefault),
  verb('list', '', 'List the servers', async () => (await remotes()).list, { aliases: ['ls'], flags: [format] }),
  verb('remove', '<remote>', 'Forget a server', async () => (await remotes()).remove, { aliases: ['rm'] }),
  verb('rename', '<remote> <new-name>', 'Rename a server', async () => (await remotes()).rename, { aliases: ['mv'] }),
  verb('set-url', '<remote> <URL>', 'Change the address of a server', async () => (await remotes()).setUrl),
  verb('switch', '<remote>', 'Make a server the default', async () => (await remotes()).switchTo, { aliases: ['set-default'] }),
  verb('import', '[<directory>]', 'Take over what `lxc` knows', async () => (await remotes()).importFrom, { args: [0, 1], beyond: true, details: 'Servers, their certificates, aliases, and the certificate this user shows. Without a directory from ~/.config/lxc. What is here already stays.' }),
]);

const operationCommand = group('operation', 'List, show and delete background operations', [
  verb('delete', '[<remote>:]<operation>', 'Cancel an operation', async () => (await operations()).remove, { aliases: ['cancel', 'rm'] }),
  verb('list', '[<remote>:]', 'List operations', async () => (await operations()).list, { aliases: ['ls'], args: [0, 1], flags: [format] }),
  verb('show', '[<remote>:]<operation>', 'Show an operation', async () => (await operations()).show, { examples: [['$0 operation show 344a79e4-d88a-45bf-9c39-c72c26f6ab8a', 'That one.']] }),
]);

const warningCommand = group('warning', 'Manage warnings', [
  verb('acknowledge', '[<remote>:]<warning-uuid>', 'Say that it was read', async () => (await warnings()).acknowledge, { aliases: ['ack'] }),
  verb('delete', '[<remote>:]<warning-uuid>', 'Delete a warning', async () => (await warnings()).remove, { aliases: ['rm'], args: [0, 1], flags: [bool('all', 'All of them', 'a')] }),
  verb('list', '[<remote>:]', 'List warnings', async () => (await warnings()).list, {
    aliases: ['ls'], args: [0, Infinity], flags: [bool('all', 'Also those resolved', 'a'), text('columns', 'Which columns', 'c', 'utSscpLl'), format],
    details: `Columns:
  c count       l last seen    L location    f first seen    p project
  s severity    S status       u UUID        t type`,
  }),
  verb('show', '[<remote>:]<warning-uuid>', 'Show a warning', async () => (await warnings()).show),
]);

const fileCommand = group('file', 'Manage files in instances', [
  verb('delete', '[<remote>:]<instance>/<path> [[<remote>:]<instance>/<path>...]', 'Delete files', async () => (await files()).remove, { aliases: ['rm'], args: [1, Infinity] }),
  verb('edit', '[<remote>:]<instance>/<path>', 'Edit a file', async () => (await files()).edit, { args: [1, 1] }),
  verb('mount', '[<remote>:]<instance>[/<path>] [<target path>]', 'Mount the files of an instance here', async () => (await import('../files/mount.js')).mount, {
    args: [1, 2], examples: [['$0 file mount c1/root there', '/root of "c1" in the directory "there".']],
    flags: [text('auth-user', 'Name to log in with, at the SFTP server'), text('listen', 'Serve SFTP at an address and port instead of mounting'), bool('no-auth', 'Let everybody in who reaches the SFTP server')],
  }),
  verb('pull', '[<remote>:]<instance>/<path> [[<remote>:]<instance>/<path>...] <target path>', 'Copy files from instances', async () => (await files()).pull, { args: [2, Infinity], flags: [bool('create-dirs', 'Make directories that lack', 'p'), bool('recursive', 'Whole directories', 'r')], examples: [['$0 file pull c1/etc/hosts .', 'To the working directory.']] }),
  verb('push', '<source path>... [<remote>:]<instance>/<path>', 'Copy files into an instance', async () => (await files()).push, {
    args: [2, Infinity], examples: [['$0 file push /etc/hosts c1/etc/hosts', 'One file.'], ['echo hello | $0 file push - c1/root/hello', 'What is typed.']],
    flags: [bool('create-dirs', 'Make directories that lack', 'p'), int('gid', 'Group of the files', undefined, '-1'), text('mode', 'Permissions of the files'), bool('recursive', 'Whole directories', 'r'), int('uid', 'Owner of the files', undefined, '-1')],
  }),
]);

export const serverCommands: readonly Command[] = [
  aliasCommand, remoteCommand, operationCommand, warningCommand, fileCommand,
  verb('monitor', '[<remote>:]', 'Follow events', async () => (await import('./monitor.js')).monitor, {
    hidden: true, args: [0, 1], examples: [['$0 monitor --type=logging --loglevel=info', 'What the server logs.'], ['$0 monitor --type=lifecycle --format=json', 'What happens to objects, for a program.']],
    flags: [bool('all-projects', 'Events of all projects'), text('format', 'json, pretty or yaml', 'f', 'yaml'), text('loglevel', 'Least level of log lines (pretty only)'), bool('pretty', 'The same as --format=pretty'), list('type', 'Type of events: logging, lifecycle, operation')],
  }),
  verb('query', '[<remote>:]<API path>', 'Send a request as it is', async () => (await import('./query.js')).query, {
    hidden: true, args: [1, 1], examples: [['$0 query -X DELETE --wait /1.0/instances/c1', 'Deletes "c1".']],
    flags: [text('data', 'What to send', 'd'), bool('raw', 'Print the answer as it comes'), text('request', 'GET, POST, PUT, PATCH, DELETE', 'X', 'GET'), bool('wait', 'Wait for the operation')],
  }),
  verb('manpage', '<target>', 'Write manual pages of all commands to a directory', async () => (await import('./manpage.js')).manpage, { hidden: true, flags: [text('format', 'man, md, rest or yaml', 'f', 'man')] }),
  verb('version', '[<remote>:]', 'Show the versions of this program and of a server', async () => (await import('./version.js')).showVersion, { args: [0, 1] }),
  verb('help', '[command]', 'Help about any command', async () => async () => undefined, { args: [0, Infinity] }),
];
