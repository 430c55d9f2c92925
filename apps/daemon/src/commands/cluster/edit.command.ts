import { parse } from 'yaml';
import { z } from 'zod';
import { invalid, StateDirectory } from '#kernel';
import { LocalStore } from '#platform/database';
import { readRaftNodes } from './raft-nodes.js';
import { recoverFromQuorumLoss } from './recover.command.js';

const edited = z.object({ members: z.array(z.object({ id: z.coerce.number(), name: z.string(), address: z.string(), role: z.string() })).min(1) });

/**
 * `cluster edit` of `cluster show`'s YAML, from standard input: new addresses, when all members' have changed and none can reach the others. Addresses are
 * part of the log itself, so this is a recovery (hazards C5): run it on the member that came furthest; the others join anew.
 */
export async function editCluster(root: string, yaml: string, write: (text: string) => void): Promise<void> {
  const result = edited.safeParse(parse(yaml));
  if (!result.success) throw invalid(`Invalid cluster configuration: ${result.error.issues[0]?.message ?? ''}`);
  const known = readRaftNodes(root);
  const { members } = result.data;
  for (const { id, name, role } of members) {
    if (!known.some((node) => node.id === id && node.name === name)) throw invalid(`There is no member "${name}" with id ${id}: members can neither be added nor renamed here`);
    if (!['voter', 'stand-by', 'spare'].includes(role)) throw invalid(`Invalid role "${role}"`);
  }
  if (members.length !== known.length) throw invalid('Members can neither be added nor removed here');
  const store = new LocalStore(new StateDirectory(root).database);
  const own = store.get('config', 'cluster.https_address') ?? '';
  store.close();
  const before = known.find(({ address }) => address === own);
  const address = members.find(({ id }) => id === before?.id)?.address;
  if (before === undefined || address === undefined) throw invalid('This member is not in the list');
  await recoverFromQuorumLoss(root, { quiet: true, address }, write);
  const after = new LocalStore(new StateDirectory(root).database);
  after.set('config', 'cluster.https_address', address);
  if (after.get('config', 'core.https_address') === before.address) after.set('config', 'core.https_address', address);
  after.close();
}
