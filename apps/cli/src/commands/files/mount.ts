import { existsSync, statSync } from 'node:fs';
import { internal, invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { findProgram, start } from '../../terminal/processes.js';

/** Mounts an instance's files with sshfs, which speaks SFTP over the connection this program holds; or serves SFTP to others. */
export const mount: Run = async (invocation) => {
  const { remote, name } = invocation.parse(invocation.arg(0));
  const slash = name.indexOf('/');
  const instance = slash < 0 ? name : name.slice(0, slash);
  const listen = invocation.flags.text('listen');
  const target = invocation.arg(1);
  if (instance === '') throw invalid('Missing instance name');
  if (target !== '') {
    if (!existsSync(target)) throw invalid(`stat ${target}: no such file or directory`);
    if (!statSync(target).isDirectory()) throw invalid('Target path must be a directory');
    if (listen !== '') throw invalid('Target path and --listen flag cannot be used together');
    if (slash < 0) throw invalid(`Invalid instance path: ${JSON.stringify(name)}`);
  }
  const server = await invocation.server(remote);
  if (target === '') return serve(invocation, server, instance, listen === '' ? '127.0.0.1:0' : listen);
  if (findProgram('sshfs') === undefined) throw invalid('sshfs not found. Try SSH SFTP mode using the --listen flag');
  await mountHere(invocation, server, instance, `/${name.slice(slash + 1)}`, target);
};

async function serve(invocation: Invocation, server: Server, instance: string, listen: string): Promise<void> {
  const { flags } = invocation;
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d+)$/.exec(listen);
  if (match === null) throw invalid(`Failed to listen for connection: listen tcp: address ${listen}: missing port in address`);
  const { makePassword, serveSftp } = await import('./ssh-server.js');
  const login = flags.bool('no-auth') ? undefined : { user: flags.text('auth-user') || makePassword(), password: makePassword() };
  const host = match[1] ?? match[2] ?? '';
  const service = await serveSftp({ host, port: Number(match[3]), login, open: () => server.api.upgrade(url(['instances', instance, 'sftp']), 'sftp') });
  invocation.print(`SSH SFTP listening on ${host.includes(':') ? `[${host}]` : host}:${service.port}`);
  invocation.print(login === undefined ? 'Login without username and password' : `Login with username "${login.user}" and password "${login.password}"`);
  await interrupted();
  service.close();
}

function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
}

async function mountHere(invocation: Invocation, server: Server, instance: string, path: string, target: string): Promise<void> {
  const connection = await server.api.upgrade(url(['instances', instance, 'sftp']), 'sftp');
  const child = start('sshfs', ['-o', 'slave', `${instance}:${path}`, target]);
  connection.pipe(child.stdin!);
  child.stdout!.pipe(connection);
  for (const stream of [connection, child.stdin!, child.stdout!]) stream.on('error', () => child.kill('SIGTERM'));
  const ended = new Promise<number>((resolve) => {
    child.once('exit', (status, signal) => resolve(signal === null ? status ?? 0 : 0));
    child.once('error', () => resolve(127));
  });
  invocation.print(`sshfs mounting "${instance}${path}" on "${target}"\nPress ctrl+c to finish`);
  let stopped = false;
  void interrupted().then(() => {
    stopped = true;
    child.kill('SIGTERM');
  });
  const code = await ended;
  connection.destroy();
  if (code !== 0 && !stopped) throw internal(`sshfs ended with exit code ${code}`);
  invocation.print('sshfs has stopped');
}
