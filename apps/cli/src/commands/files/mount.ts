import { existsSync, statSync } from 'node:fs';
import { internal, invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { url } from '../../server.js';
import { findProgram, start } from '../../terminal/processes.js';

/** Mounts an instance's files with sshfs, which speaks SFTP over the connection this program holds. */
export const mount: Run = async (invocation) => {
  const { remote, name } = invocation.parse(invocation.arg(0));
  const slash = name.indexOf('/');
  const instance = slash < 0 ? name : name.slice(0, slash);
  const path = slash < 0 ? '/' : `/${name.slice(slash + 1)}`;
  const listen = invocation.flags.text('listen');
  if (instance === '') throw invalid('Missing instance name');
  if (listen !== '') {
    const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(listen);
    if (match === null) throw invalid(`Failed to listen for connection: listen tcp: address ${listen}: missing port in address`);
    throw invalid('SFTP is not served to others by this client: mount with sshfs, or use `file pull` and `file push`');
  }
  const target = invocation.arg(1);
  if (target === '') throw invalid('Target path is required');
  if (!existsSync(target) || !statSync(target).isDirectory()) throw invalid('Target path must be a directory');
  if (findProgram('sshfs') === undefined) throw invalid('sshfs not found. Try SSH SFTP mode using the --listen flag');
  const server = await invocation.server(remote);
  const connection = await server.api.upgrade(url(['instances', instance, 'sftp']), 'sftp');
  const child = start('sshfs', ['-o', 'slave', `${instance}:${path}`, target]);
  connection.pipe(child.stdin!);
  child.stdout!.pipe(connection);
  for (const stream of [connection, child.stdin!, child.stdout!]) stream.on('error', () => child.kill('SIGTERM'));
  invocation.print(`sshfs mounting "${instance}${path}" on "${target}"\nPress ctrl+c to finish`);
  process.on('SIGINT', () => child.kill('SIGTERM'));
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const code = await new Promise<number>((resolve) => {
    child.once('exit', (status, signal) => resolve(signal === null ? status ?? 0 : 0));
    child.once('error', () => resolve(127));
  });
  connection.destroy();
  if (code !== 0) throw internal(`sshfs ended with exit code ${code}`);
  invocation.print('sshfs has stopped');
};
