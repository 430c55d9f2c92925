import { bool, format, group, list, text, verb } from '../../grammar/command.js';

const image = () => import('./image.js');
const transfer = () => import('./transfer.js');
const alias = () => import('./image-alias.js');
const vm = bool('vm', 'That of a virtual machine');

export const imageCommand = group('image', 'Manage images', [
  group('alias', 'Aliases of images', [
    verb('create', '[<remote>:]<alias> <fingerprint>', 'Give an image an alias', async () => (await alias()).create),
    verb('delete', '[<remote>:]<alias>', 'Delete an alias', async () => (await alias()).remove, { aliases: ['rm'] }),
    verb('list', '[<remote>:] [<filters>...]', 'List aliases', async () => (await alias()).list, { aliases: ['ls'], args: [0, Infinity], flags: [format], details: 'A filter is a part of the alias or of the fingerprint.' }),
    verb('rename', '[<remote>:]<alias> <new-name>', 'Rename an alias', async () => (await alias()).rename, { aliases: ['mv'] }),
  ]),
  verb('copy', '[<remote>:]<image> <remote>:', 'Copy an image to another server', async () => (await transfer()).copy, {
    aliases: ['cp'], args: [2, 2],
    flags: [list('alias', 'Alias for the copy'), bool('auto-update', 'Keep it up to date'), bool('copy-aliases', 'Take its aliases along'), text('mode', 'pull, push or relay', undefined, 'pull'), bool('public', 'Let everybody have it'), text('target-project', 'Project it goes to'), bool('vm', 'Images of virtual machines')],
  }),
  verb('delete', '[<remote>:]<image> [[<remote>:]<image>...]', 'Delete images', async () => (await image()).remove, { aliases: ['rm'], args: [1, Infinity] }),
  verb('edit', '[<remote>:]<image>', 'Edit an image as YAML', async () => (await image()).edit, { examples: [['$0 image edit bb < bb.yaml', 'Takes it from a file.']] }),
  verb('export', '[<remote>:]<image> [<target>]', 'Download an image', async () => (await transfer()).exportImage, { args: [1, 2], flags: [vm], details: 'Without a target it goes to the working directory.' }),
  verb('get-property', '[<remote>:]<image> <key>', 'Print a property', async () => (await image()).getProperty),
  verb('import', '<tarball>|<directory>|<URL> [<rootfs tarball>] [<remote>:] [key=value...]', 'Make an image of files', async () => (await transfer()).importImage, { args: [1, Infinity], flags: [list('alias', 'Alias for it'), bool('public', 'Let everybody have it')], details: 'A directory is packed first, which takes root.' }),
  verb('info', '[<remote>:]<image>', 'Show an image', async () => (await image()).info, { flags: [vm] }),
  verb('list', '[<remote>:] [<filter>...]', 'List images', async () => (await import('./image-list.js')).list, {
    aliases: ['ls'], args: [0, Infinity], flags: [text('columns', 'Which columns', 'c', 'lfpdatsu'), format],
    details: `A filter is <key>=<value> for a property, or a part of the fingerprint or an alias.

Columns:
  l shortest alias       L all aliases       f fingerprint (short)   F fingerprint (long)
  p public               d description       a architecture          s size
  u upload date          t type`,
  }),
  verb('refresh', '[<remote>:]<image> [[<remote>:]<image>...]', 'Look for newer images at their sources', async () => (await image()).refresh, { args: [1, Infinity] }),
  verb('set-property', '[<remote>:]<image> <key> <value>', 'Set a property', async () => (await image()).setProperty),
  verb('show', '[<remote>:]<image>', 'Show what can be changed of an image', async () => (await image()).show, { flags: [vm] }),
  verb('unset-property', '[<remote>:]<image> <key>', 'Remove a property', async () => (await image()).unsetProperty),
], { details: 'An image is named by its fingerprint, by the first digits of it, or by an alias.' });
