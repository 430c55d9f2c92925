import { invalid, wrap } from '#kernel';
import type { Run } from '../../invocation.js';
import { url } from '../../server.js';
import { mustConfirm } from '../../terminal/confirm.js';
import type { InstanceView } from '../instance-shape.js';

export const remove: Run = async (invocation) => {
  const { flags, args } = invocation;
  for (const text of args) {
    const { remote, name } = invocation.parse(text);
    const server = await invocation.server(remote);
    const confirm = async (): Promise<void> => { if (flags.bool('interactive')) await mustConfirm(invocation.terminal, `Remove ${name} (yes/no): `, 'User aborted delete operation'); };
    const [parent = '', snapshot] = name.split('/');
    if (snapshot !== undefined) {
      const path = url(['instances', parent, 'snapshots', snapshot]);
      await server.get(path).catch((error: unknown) => { throw wrap(error, `Failed checking instance snapshot exists "${remote}:${name}"`); });
      await confirm();
      await invocation.run(server, 'DELETE', path);
      continue;
    }
    const path = url(['instances', name]);
    const instance = await server.get<InstanceView>(path).catch((error: unknown) => { throw wrap(error, `Failed checking instance exists "${remote}:${name}"`); });
    await confirm();
    if (instance.status_code !== 0 && instance.status_code !== 102 && instance.status_code !== 112) {
      if (!flags.bool('force')) throw invalid(`The instance is currently ${instance.status.toLowerCase()}, stop it first or pass --force`);
      await invocation.run(server, 'PUT', url(['instances', name, 'state']), { action: 'stop', timeout: -1, force: true, stateful: false })
        .catch((error: unknown) => { throw wrap(error, `Stopping the instance failed`); });
      // It deletes itself.
      if (instance.ephemeral) continue;
    }
    await invocation.run(server, 'DELETE', path);
  }
};
