import { invalid, wrap } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { copyInstance } from './copy.js';
import { removeForcibly } from './delete.js';

export const move: Run = async (invocation) => {
  const { flags, args } = invocation;
  const elsewhere = ['target', 'target-project', 'storage'].some((name) => flags.text(name) !== '');
  const source = invocation.parse(args[0]!);
  const destination = args[1] === undefined ? { remote: source.remote, name: '' } : invocation.parse(args[1]);
  if (args.length === 1 && !elsewhere) {
    invocation.printHelp();
    throw invalid('Invalid number of arguments');
  }
  const server = await invocation.server(source.remote);
  if (source.remote !== destination.remote) return moveToServer(invocation, args[0]!, args[1]!);
  if (!elsewhere) return rename(invocation, server, source.name, destination.name);
  if (source.name.includes('/')) throw invalid('Snapshots can only be renamed');
  if (flags.text('target') !== '' && !server.clustered) throw invalid('The source LXD server is not clustered');
  if (overrides(invocation) && invocation.program !== 'lxc') invocation.note('The server moves it by itself: configuration, devices and profiles stay as they are');
  // To another member, pool or project of the same server: it does that by itself.
  const body = {
    name: destination.name === '' ? source.name : destination.name, migration: true, live: flags.text('target') !== '' && !flags.bool('stateless'), instance_only: flags.bool('instance-only'), container_only: flags.bool('instance-only'),
    pool: flags.text('storage'), project: flags.text('target-project'), allow_inconsistent: flags.bool('allow-inconsistent'),
  };
  await invocation.run(server, 'POST', url(['instances', source.name], { target: flags.text('target') }), body, 'Transferring instance');
};

/** A name only: nothing moves. */
async function rename(invocation: Invocation, server: Server, from: string, to: string): Promise<void> {
  if (overrides(invocation)) throw invalid("Can't override configuration or profiles in local rename");
  const [instance = '', snapshot] = from.split('/');
  if (snapshot === undefined) {
    if (to.includes('/')) throw invalid('Invalid new instance name');
    return void await invocation.run(server, 'POST', url(['instances', instance]), { name: to, migration: false });
  }
  const [parent, name] = to.split('/');
  if (parent !== instance || name === undefined) throw invalid('Invalid new snapshot name, parent must be the same as source');
  await invocation.run(server, 'POST', url(['instances', instance, 'snapshots', snapshot]), { name, migration: false });
}

/** A copy, after which the source goes; of a snapshot only itself. What ran, and did not take its state along, is started there. */
async function moveToServer(invocation: Invocation, source: string, destination: string): Promise<void> {
  const { flags } = invocation;
  const stateless = flags.bool('stateless');
  if (flags.text('target') !== '' && !(await invocation.serverOf(destination)).clustered) throw invalid('The destination LXD server is not clustered');
  const made = await copyInstance(invocation, { source, destination, ephemeral: false, refresh: false, stateful: !stateless, keepVolatile: true, what: 'Transferring instance' });
  if (made.ran && stateless) {
    await invocation.run(made.server, 'PUT', url(['instances', made.name, 'state'], { project: flags.text('target-project') }), { action: 'start', timeout: -1, force: false, stateful: false });
  }
  await removeForcibly(invocation, source).catch((error: unknown) => { throw wrap(error, 'Failed to delete original instance after copying it'); });
}

/** Whether something of it is to be different afterwards. */
function overrides({ flags }: Invocation): boolean {
  return flags.list('config').length > 0 || flags.list('device').length > 0 || flags.list('profile').length > 0 || flags.bool('no-profiles');
}
