import { invalid, wrap } from '#kernel';
import type { Run } from '../../invocation.js';
import { url } from '../../server.js';
import { copyInstance } from './copy.js';

export const move: Run = async (invocation) => {
  const { flags, args } = invocation;
  const elsewhere = ['target', 'target-project', 'storage'].some((name) => flags.text(name) !== '');
  const source = invocation.parse(args[0]!);
  const destination = args[1] === undefined ? { remote: source.remote, name: '' } : invocation.parse(args[1]);
  const [instance = '', snapshot] = source.name.split('/');
  if (args.length === 1 && !elsewhere && !changed(invocation)) {
    invocation.printHelp();
    throw invalid('Invalid number of arguments');
  }
  const server = await invocation.server(source.remote);
  // A name only: nothing moves.
  if (source.remote === destination.remote && !elsewhere && !changed(invocation)) {
    if (snapshot !== undefined) return renameSnapshot(invocation, source.remote, instance, snapshot, destination.name);
    if (destination.name.includes('/')) throw invalid('Invalid new instance name');
    return void await invocation.run(server, 'POST', url(['instances', instance]), { name: destination.name, migration: false });
  }
  if (snapshot !== undefined && destination.remote === source.remote) throw invalid('Snapshots can only be renamed');
  if (source.remote === destination.remote && elsewhere) {
    if (flags.text('target') !== '' && !server.clustered) throw invalid('To use --target, the source remote must be a cluster');
    // To another member, pool or project of the same server: it does that by itself.
    if (!changed(invocation)) {
      const body = { name: destination.name === '' ? instance : destination.name, migration: true, live: !flags.bool('stateless'), instance_only: flags.bool('instance-only'), container_only: flags.bool('instance-only'), pool: flags.text('storage'), project: flags.text('target-project'), allow_inconsistent: flags.bool('allow-inconsistent') };
      const plain = flags.text('target') !== '' ? { ...body, pool: flags.text('storage') } : { ...body, live: false };
      return void await invocation.run(server, 'POST', url(['instances', instance], { target: flags.text('target') }), plain, 'Transferring instance');
    }
  }
  await copyInstance(invocation, { source: args[0]!, destination: args[1] ?? `${source.remote}:${instance}`, ephemeral: false, refresh: false, stateful: !flags.bool('stateless'), keepVolatile: true, what: 'Transferring instance' });
  await invocation.run(server, 'DELETE', url(['instances', instance])).catch((error: unknown) => { throw wrap(error, 'Failed to delete original instance after copying it'); });
};

/** Whether the configuration is to change on the way. */
function changed(invocation: Parameters<Run>[0]): boolean {
  const { flags } = invocation;
  return flags.list('config').length > 0 || flags.list('device').length > 0 || flags.list('profile').length > 0 || flags.bool('no-profiles');
}

async function renameSnapshot(invocation: Parameters<Run>[0], remote: string, instance: string, snapshot: string, to: string): Promise<void> {
  const [parent, name] = to.split('/');
  if (parent !== instance || name === undefined) throw invalid('Invalid new snapshot name, parent must be the same as source');
  await invocation.run(await invocation.server(remote), 'POST', url(['instances', instance, 'snapshots', snapshot]), { name, migration: false });
}
