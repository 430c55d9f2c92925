import { existsSync } from 'node:fs';
import type { Run } from '../../invocation.js';
import { invalid, wrap } from '#kernel';
import { nameOf, url } from '../../server.js';
import { contentOf, lengthHeader, receiveFile, sendCounted } from '../../terminal/transfers.js';

export const exportInstance: Run = async (invocation) => {
  const { flags } = invocation;
  const { server, name } = await invocation.place(invocation.arg(0));
  const path = url(['instances', name, 'backups']);
  const body = { name: '', expires_at: new Date(new Date().getTime() + 24 * 3600 * 1000).toISOString(), instance_only: flags.bool('instance-only'), container_only: flags.bool('instance-only'), optimized_storage: flags.bool('optimized-storage'), compression_algorithm: flags.text('compression') };
  const answer = await server.api.call('POST', path, { body }).catch((error: unknown) => { throw wrap(error, 'Create instance backup'); });
  const operation = await invocation.wait(server, answer, 'Backing up instance');
  const backup = nameOf((operation.resources?.['backups'] ?? [''])[0]!);
  const where = url(['instances', name, 'backups', backup]);
  const target = invocation.arg(1) === '' ? 'backup.tar.gz' : invocation.arg(1);
  try {
    const content = await server.download(`${where}/export`);
    await receiveFile(invocation, 'Exporting the backup', Number(content.headers['content-length'] ?? 0), content, target);
  } finally {
    // It was made for this only.
    await invocation.run(server, 'DELETE', where).catch(() => undefined);
  }
  if (target !== '-' && !flags.bool('quiet')) invocation.print('Backup exported successfully!');
};

export const importInstance: Run = async (invocation) => {
  const { args, flags } = invocation;
  const remote = args[0]!.endsWith(':') ? invocation.parse(args[0]!).remote : invocation.config.defaultRemote;
  const [file = '', name = ''] = args[0]!.endsWith(':') ? args.slice(1) : args;
  const server = await invocation.server(remote);
  if (file !== '-' && !existsSync(file)) throw invalid(`open ${file}: no such file or directory`);
  const { body: content, length } = file === '-' ? { body: invocation.terminal.stdin, length: undefined } : contentOf(file);
  const headers: Record<string, string> = { 'content-type': 'application/octet-stream', ...lengthHeader(length) };
  if (flags.text('storage') !== '') headers['x-lxd-pool'] = flags.text('storage');
  if (name !== '') headers['x-lxd-name'] = name;
  const answer = await sendCounted(invocation, 'Importing instance', length, content, (body) => server.api.call('POST', url(['instances']), { body, headers }));
  await invocation.wait(server, answer, 'Importing instance');
};
