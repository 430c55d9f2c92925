import { invalid, notFound } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { isUnset, utcMinute } from '../../output/times.js';
import { url } from '../../server.js';
import { editYaml } from '../../terminal/edit.js';
import { imageServer, resolveImage, type ImageView } from './image-source.js';

type Raw = Record<string, unknown>;

/** What can be changed of an image, in the order it is shown. */
export function writableImage(value: object | null): Raw {
  const image = (value ?? {}) as Partial<ImageView>;
  return {
    auto_update: image.auto_update ?? false, properties: image.properties ?? null, public: image.public ?? false, expires_at: image.expires_at ?? '0001-01-01T00:00:00Z', profiles: image.profiles ?? null,
  };
}

interface Found { readonly image: ImageView; readonly etag: string; readonly path: string }

async function find(invocation: Invocation, text: string): Promise<Found> {
  const { remote, name } = invocation.parse(text);
  if (name === '') throw invalid('Image identifier missing');
  if (invocation.config.remote(remote).protocol === 'simplestreams') return findInStream(invocation, remote, name);
  const server = await imageServer(invocation, remote);
  const path = url(['images', await resolveImage(server, name)]);
  const { value, etag } = await server.fetch<ImageView>(path);
  return { image: value, etag, path };
}

async function findInStream(invocation: Invocation, remote: string, name: string): Promise<Found> {
  const { streamImages, chooseStreamImage } = await import('./streams.js');
  const image = chooseStreamImage(await streamImages(invocation, remote), name, invocation.flags.bool('vm') ? 'virtual-machine' : 'container');
  if (image === undefined) throw notFound("Failed getting image: The requested image couldn't be found");
  return { image, etag: '', path: '' };
}

export const remove: Run = async (invocation) => {
  for (const text of invocation.args) {
    const { remote, name } = invocation.parse(text);
    if (name === '') throw invalid('Image identifier missing');
    const server = await invocation.server(remote);
    await invocation.run(server, 'DELETE', url(['images', await resolveImage(server, name)]));
  }
};

export const show: Run = async (invocation) => {
  invocation.printYaml(writableImage((await find(invocation, invocation.arg(0))).image));
};

export const edit: Run = async (invocation) => {
  const { remote, name } = invocation.parse(invocation.arg(0));
  if (name === '') throw invalid(`Image identifier missing: ${invocation.arg(0)}`);
  const server = await invocation.server(remote);
  const path = url(['images', await resolveImage(server, name)]);
  let etag = '';
  await editYaml(invocation, {
    explanation: 'An image: its properties, whether everybody may have it, and when it expires, as YAML.\nLines that begin with # are ignored.',
    load: async () => {
      const found = await server.fetch<ImageView>(path);
      etag = found.etag;
      return writableImage(found.value);
    },
    save: async (value) => { await invocation.run(server, 'PUT', path, writableImage(value as object | null), '', etag === '' ? {} : { 'if-match': etag }); },
  });
};

export const getProperty: Run = async (invocation) => {
  const { image } = await find(invocation, invocation.arg(0));
  const value = image.properties?.[invocation.arg(1)];
  if (value === undefined) throw notFound('Property not found');
  invocation.print(value);
};

async function changeProperties(invocation: Invocation, change: (properties: Record<string, string>) => void): Promise<void> {
  const { server } = await invocation.place(invocation.arg(0));
  const { image, etag, path } = await find(invocation, invocation.arg(0));
  const properties = { ...image.properties };
  change(properties);
  await invocation.run(server, 'PUT', path, { ...writableImage(image), properties }, '', { 'if-match': etag });
}

export const setProperty: Run = (invocation) => changeProperties(invocation, (properties) => { properties[invocation.arg(1)] = invocation.arg(2); });

export const unsetProperty: Run = (invocation) => changeProperties(invocation, (properties) => {
  if (properties[invocation.arg(1)] === undefined) throw notFound('Property not found');
  delete properties[invocation.arg(1)];
});

export const refresh: Run = async (invocation) => {
  for (const text of invocation.args) {
    const { remote, name } = invocation.parse(text);
    if (name === '') throw invalid('Image identifier missing');
    const server = await invocation.server(remote);
    const operation = await invocation.run(server, 'POST', url(['images', await resolveImage(server, name), 'refresh']), undefined, 'Refreshing the image');
    const refreshed = (operation.metadata as { refreshed?: boolean } | null)?.refreshed === true;
    invocation.print(refreshed ? 'Image refreshed successfully!' : 'Image already up to date.');
  }
};

export const info: Run = async (invocation) => {
  const { image } = await find(invocation, invocation.arg(0));
  const yes = (value: boolean): string => (value ? 'yes' : 'no');
  const lines = [
    `Fingerprint: ${image.fingerprint}`, `Size: ${(image.size / 1024 / 1024).toFixed(2)}MB`, `Architecture: ${image.architecture}`, `Type: ${image.type === '' ? 'container' : image.type}`, `Public: ${yes(image.public)}`, 'Timestamps:',
    ...(isUnset(image.created_at) ? [] : [`    Created: ${utcMinute(image.created_at)}`]), `    Uploaded: ${utcMinute(image.uploaded_at)}`,
    isUnset(image.expires_at) ? '    Expires: never' : `    Expires: ${utcMinute(image.expires_at)}`, isUnset(image.last_used_at) ? '    Last used: never' : `    Last used: ${utcMinute(image.last_used_at)}`,
    'Properties:', ...Object.entries(image.properties ?? {}).map(([key, value]) => `    ${key}: ${value}`),
    'Aliases:', ...(image.aliases ?? []).map((alias) => (alias.description === '' ? `    - ${alias.name}` : `    - ${alias.name} (${alias.description})`)),
    `Cached: ${yes(image.cached)}`, `Auto update: ${image.auto_update ? 'enabled' : 'disabled'}`,
    ...(image.update_source === undefined || image.update_source === null ? [] : ['Source:', `    Server: ${image.update_source.server}`, `    Protocol: ${image.update_source.protocol}`, `    Alias: ${image.update_source.alias}`]),
  ];
  if ((image.profiles?.length ?? 0) === 0) lines.push('Profiles: []');
  else lines.push('Profiles:', ...image.profiles!.map((profile) => `    - ${profile}`));
  invocation.terminal.out(`${lines.join('\n')}\n`);
};
