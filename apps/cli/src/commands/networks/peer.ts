import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url } from '../../server.js';
import { parseYaml } from '../../terminal/edit.js';
import { ConfigKind } from '../config-kind.js';
import { pairs } from '../keys.js';

interface Peer {
  readonly name: string;
  readonly description: string;
  readonly target_project: string;
  readonly target_network: string;
  readonly status: string;
}

export const kind = new ConfigKind({
  noun: 'Network peer', words: 2, path: ([network, peer]) => ['networks', network!, 'peers', peer!], shape: { description: '', config: null },
  explanation: 'A peering of two networks, as YAML.\nLines that begin with # are ignored; the name cannot be changed here.',
  checkNames: ([network, peer]) => {
    if (network === '') throw invalid('Missing network name');
    if (peer === '') throw invalid('Missing peer name');
  },
});

export const create: Run = async (invocation) => {
  const { server, names: [network = '', name = ''] } = await kind.find(invocation);
  const target = invocation.arg(2);
  if (target === '') throw invalid('Missing target network');
  const slash = target.indexOf('/');
  const given = invocation.terminal.inputIsTerminal ? null : (await parseYaml((await invocation.terminal.readAll()).toString('utf8'))) as Record<string, unknown> | null;
  const put = kind.writable(given);
  put['config'] = { ...(put['config'] as object | null), ...pairs(invocation.args.slice(3), 'Bad key=value pair') };
  const path = url(['networks', network, 'peers']);
  await invocation.run(server, 'POST', path, { ...put, name, target_project: slash < 0 ? '' : target.slice(0, slash), target_network: target.slice(slash + 1) });
  if (invocation.flags.bool('quiet')) return;
  const { status } = await server.get<Peer>(url(['networks', network, 'peers', name]));
  if (status === 'Created') invocation.print(`Network peer ${name} created`);
  else if (status === 'Pending') invocation.print(`Network peer ${name} pending (please complete mutual peering on peer network)`);
  else invocation.print(`Network peer ${name} is in unexpected state "${status}"`);
};

export const list: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing network name');
  const peers = await server.get<Peer[]>(url(['networks', name, 'peers'], { recursion: 1 }));
  const rows = peers.map((one) => [one.name, one.description, one.target_project === '' && one.target_network === '' ? 'Unknown' : `${one.target_project}/${one.target_network}`, one.status.toUpperCase()]);
  invocation.printList(['NAME', 'DESCRIPTION', 'PEER', 'STATE'], sortRows(rows), peers);
};
