import { invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url } from '../../server.js';
import { parseYaml } from '../../terminal/edit.js';
import { ConfigKind } from '../config-kind.js';
import { pairs } from '../keys.js';

interface Port {
  readonly description: string;
  readonly protocol: string;
  readonly listen_port: string;
  readonly target_port: string;
  readonly target_address: string;
}
interface Forward {
  readonly listen_address: string;
  readonly description: string;
  readonly location: string;
  readonly config: Record<string, string> | null;
  readonly ports: Port[] | null;
}

export const kind = new ConfigKind({
  noun: 'Network forward', words: 2, path: ([network, address]) => ['networks', network!, 'forwards', address!], shape: { description: '', config: null, ports: null },
  explanation: 'A forward: addresses and ports that are passed on into a network, as YAML.\nLines that begin with # are ignored; the address it listens on cannot be changed here.',
  checkNames: ([network, address]) => {
    if (network === '') throw invalid('Missing network name');
    if (address === '') throw invalid('Missing listen address');
  },
});

export const create: Run = async (invocation) => {
  const { server, names: [network = '', listen = ''] } = await kind.find(invocation);
  const given = invocation.terminal.inputIsTerminal ? null : (await parseYaml((await invocation.terminal.readAll()).toString('utf8'))) as Record<string, unknown> | null;
  const put = kind.writable(given);
  put['config'] = { ...(put['config'] as object | null), ...pairs(invocation.args.slice(2), 'Bad key=value pair') };
  await invocation.run(server, 'POST', url(['networks', network, 'forwards'], { target: invocation.flags.text('target') }), { ...put, listen_address: listen });
  if (!invocation.flags.bool('quiet')) invocation.print(`Network forward ${listen} created`);
};

export const list: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing network name');
  const forwards = await server.get<Forward[]>(url(['networks', name, 'forwards'], { recursion: 1 }));
  const rows = forwards.map((one) => [one.listen_address, one.description, one.config?.['target_address'] ?? '', String(one.ports?.length ?? 0), ...(server.clustered ? [one.location] : [])]);
  invocation.printList(['LISTEN ADDRESS', 'DESCRIPTION', 'DEFAULT TARGET ADDRESS', 'PORTS', ...(server.clustered ? ['LOCATION'] : [])], sortRows(rows), forwards);
};

async function changePorts(invocation: Invocation, change: (ports: Port[]) => Port[]): Promise<void> {
  const { server, names } = await kind.find(invocation);
  const path = kind.url(names, invocation);
  const { value, etag } = await server.fetch<Forward>(path);
  await invocation.run(server, 'PUT', path, { description: value.description, config: value.config, ports: change(value.ports ?? []) }, '', { 'if-match': etag });
}

export const addPort: Run = (invocation) => {
  const [, , protocol = '', listen_port = '', target_address = '', target_port = ''] = invocation.args;
  return changePorts(invocation, (ports) => [...ports, { description: '', protocol, listen_port, target_port, target_address }]);
};

export const removePort: Run = (invocation) => changePorts(invocation, (ports) => {
  const [, , protocol, listenPort] = invocation.args;
  const kept = ports.filter((port) => (protocol !== undefined && port.protocol !== protocol) || (listenPort !== undefined && port.listen_port !== listenPort));
  const gone = ports.length - kept.length;
  if (gone === 0) throw invalid('No matching port(s) found');
  if (gone > 1 && !invocation.flags.bool('force')) throw invalid('Multiple ports match. Use --force to remove them all');
  return kept;
});
