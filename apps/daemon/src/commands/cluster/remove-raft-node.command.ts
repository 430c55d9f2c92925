import { invalid } from '#kernel';
import type { Api } from '../init/api.js';
import { confirmed } from './confirm.js';

const question = `You should run this command only if you ended up in an
inconsistent state where a node has been uncleanly removed (i.e. it doesn't show
up in "lxc cluster list" but it's still in the raft configuration).

Do you want to proceed? (yes/no): `;

/** `cluster remove-raft-node ADDRESS`: takes what listens there out of those that hold the log. Asks first unless `quiet`. */
export async function removeRaftNode(api: Api, address: string, quiet: boolean): Promise<void> {
  if (!quiet && !(await confirmed(question))) throw invalid('Remove raft node operation aborted');
  await api.delete(`/internal/cluster/raft-node/${encodeURIComponent(address)}`);
}
