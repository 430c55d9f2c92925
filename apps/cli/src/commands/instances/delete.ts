import { invalid, wrap } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { mustConfirm } from '../../terminal/confirm.js';
import type { InstanceView } from '../instance-shape.js';

/** What is to be deleted, known to be there. */
interface Doomed {
  readonly server: Server;
  readonly name: string;
  readonly path: string;
  /** Undefined for a snapshot. */
  readonly instance: InstanceView | undefined;
}

/** Nothing is deleted unless all that was named is there. */
export const remove: Run = async (invocation) => {
  const doomed: Doomed[] = [];
  for (const text of invocation.args) doomed.push(await find(invocation, text));
  for (const one of doomed) {
    if (invocation.flags.bool('interactive')) await mustConfirm(invocation.terminal, `Remove ${one.name} (yes/no): `, 'User aborted delete operation');
    await removeOne(invocation, one, invocation.flags.bool('force'));
  }
};

/** Deletes an instance, which is stopped for it, or a snapshot. */
export async function removeForcibly(invocation: Invocation, text: string): Promise<void> {
  await removeOne(invocation, await find(invocation, text), true);
}

async function find(invocation: Invocation, text: string): Promise<Doomed> {
  const { remote, name } = invocation.parse(text);
  const server = await invocation.server(remote);
  const [parent = '', snapshot] = name.split('/');
  if (snapshot !== undefined) {
    const path = url(['instances', parent, 'snapshots', snapshot]);
    await server.get(path).catch((error: unknown) => { throw wrap(error, `Failed checking instance snapshot exists "${remote}:${name}"`); });
    return { server, name, path, instance: undefined };
  }
  const path = url(['instances', name]);
  const instance = await server.get<InstanceView>(path).catch((error: unknown) => { throw wrap(error, `Failed checking instance exists "${remote}:${name}"`); });
  return { server, name, path, instance };
}

async function removeOne(invocation: Invocation, { server, name, path, instance }: Doomed, force: boolean): Promise<void> {
  if (instance !== undefined && ![0, 102, 112].includes(instance.status_code)) {
    if (!force) throw invalid(`The instance is currently ${instance.status.toLowerCase()}, stop it first or pass --force`);
    await invocation.run(server, 'PUT', url(['instances', name, 'state']), { action: 'stop', timeout: -1, force: true, stateful: false })
      .catch((error: unknown) => { throw wrap(error, 'Stopping the instance failed'); });
    // It deletes itself.
    if (instance.ephemeral) return;
  }
  await invocation.run(server, 'DELETE', path);
}
