import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url } from '../../server.js';
import { imageServer, resolveImage } from './image-source.js';

interface Alias { readonly name: string; readonly description: string; readonly type: string; readonly target: string }

export const create: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Alias name missing');
  await invocation.run(server, 'POST', url(['images', 'aliases']), { description: '', target: await resolveImage(server, invocation.arg(1)), name, type: '' });
};

export const remove: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Alias name missing');
  await invocation.run(server, 'DELETE', url(['images', 'aliases', name]));
};

export const rename: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Alias name missing');
  await invocation.run(server, 'POST', url(['images', 'aliases', name]), { name: invocation.arg(1) });
};

export const list: Run = async (invocation) => {
  const first = invocation.arg(0);
  const { remote, name } = first.includes(':') ? invocation.parse(first) : { remote: invocation.config.defaultRemote, name: first };
  const filters = [name, ...invocation.args.slice(1)].filter((filter) => filter !== '');
  const aliases = invocation.config.remote(remote).protocol === 'simplestreams' ? await ofStream(invocation, remote) : await (await imageServer(invocation, remote)).get<Alias[]>(url(['images', 'aliases'], { recursion: 1 }));
  const shown = aliases.filter((one) => filters.every((filter) => one.name.includes(filter) || one.target.includes(filter)));
  const rows = shown.map((one) => [one.name, one.target.slice(0, 12), (one.type === '' ? 'container' : one.type).toUpperCase(), one.description]);
  invocation.printList(['ALIAS', 'FINGERPRINT', 'TYPE', 'DESCRIPTION'], sortRows(rows), shown);
};

async function ofStream(invocation: Parameters<Run>[0], remote: string): Promise<Alias[]> {
  const { bareAliases, streamImages } = await import('./streams.js');
  const images = await streamImages(invocation, remote);
  const named = [...images.flatMap((image) => (image.aliases ?? []).map(({ name }) => [name, image] as const)), ...bareAliases(images)];
  return named.map(([name, image]) => ({ name, description: '', type: image.type, target: image.fingerprint }));
}
