import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { url } from '../../server.js';

export const rename: Run = async (invocation) => {
  const source = invocation.parse(invocation.arg(0));
  const target = invocation.parse(invocation.arg(1));
  if (source.remote !== target.remote && invocation.arg(1).includes(':')) throw invalid("Can't specify a different remote for rename");
  const server = await invocation.server(source.remote);
  const [instance = '', snapshot] = source.name.split('/');
  if (snapshot === undefined) {
    if (target.name.includes('/')) throw invalid("Can't rename an instance to a snapshot");
    await invocation.run(server, 'POST', url(['instances', instance]), { name: target.name, migration: false });
    return;
  }
  const [parent, name] = target.name.split('/');
  if (parent !== instance || name === undefined) throw invalid('Invalid new snapshot name, parent must be the same as source');
  await invocation.run(server, 'POST', url(['instances', instance, 'snapshots', snapshot]), { name, migration: false });
};
