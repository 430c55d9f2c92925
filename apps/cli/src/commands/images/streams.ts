import { readText } from '#client';
import { HttpTransport } from '#client/http';
import { messageOf, unavailable } from '#kernel';
import type { Invocation } from '../../invocation.js';
import { version } from '../../version-number.js';
import type { ImageView } from './image-source.js';

interface StreamItem { readonly ftype: string; readonly size: number; readonly path: string; readonly sha256?: string; readonly combined_sha256?: string; readonly combined_rootxz_sha256?: string; readonly combined_squashfs_sha256?: string; readonly 'combined_disk-kvm-img_sha256'?: string; readonly 'combined_disk1-img_sha256'?: string }
interface StreamProduct { readonly aliases?: string; readonly arch: string; readonly os?: string; readonly release?: string; readonly release_title?: string; readonly variant?: string; readonly version?: string; readonly support_eol?: string; readonly versions: Readonly<Record<string, { readonly label?: string; readonly items: Readonly<Record<string, StreamItem>> }>> }

/** An image of a simplestreams server, as a server of `/1.0` would show it, and where its files are. */
export interface StreamImageView extends ImageView {
  /** Path of the metadata file below the server's address, and of the file system; the second is empty for an image of one file. */
  readonly paths: readonly [string, string];
  /** SHA-256 of those files, where the server says it. */
  readonly hashes: readonly [string | undefined, string | undefined];
}

const architectures: Readonly<Record<string, string>> = { amd64: 'x86_64', i386: 'i686', arm64: 'aarch64', armhf: 'armv7l', armel: 'armv6l', ppc64el: 'ppc64le', powerpc: 'ppc', riscv64: 'riscv64', s390x: 's390x' };

const ownArchitecture = ({ x64: 'amd64', arm64: 'arm64' } as Record<string, string>)[process.arch] ?? process.arch;

/** All images of a simplestreams server: its index, and every file of products that it names. Read-only, as these servers are. */
export async function streamImages(invocation: Invocation, remote: string): Promise<StreamImageView[]> {
  const base = invocation.config.remote(remote).addr.replace(/\/+$/, '');
  const transport = new HttpTransport({ certificate: invocation.config.serverCertificate(remote), proxy: invocation.config.proxy }, `${invocation.program} ${version}`);
  try {
    const index = await fetchJson<{ index: Record<string, { path: string; datatype?: string }> }>(transport, `${base}/streams/v1/index.json`);
    const images: StreamImageView[] = [];
    for (const entry of Object.values(index.index)) {
      if (entry.datatype !== undefined && entry.datatype !== 'image-downloads') continue;
      const { products } = await fetchJson<{ products: Record<string, StreamProduct> }>(transport, `${base}/${entry.path}`);
      for (const product of Object.values(products)) images.push(...imagesOf(product));
    }
    return withAliases(images);
  } finally {
    transport.close();
  }
}

async function fetchJson<T>(transport: HttpTransport, url: string): Promise<T> {
  const answer = await transport.request({ method: 'GET', url, idleTimeoutMs: 30_000 });
  if (answer.statusCode !== 200) {
    answer.resume();
    throw unavailable(`Failed to fetch ${url}: ${answer.statusCode} ${answer.statusMessage}`);
  }
  try {
    return JSON.parse(await readText(answer, 256 * 1024 * 1024)) as T;
  } catch (error) {
    throw unavailable(`"${url}" is no simplestreams file: ${messageOf(error)}`, { cause: error });
  }
}

/** Of this machine's architecture an image has the aliases of its product, and any with the architecture behind. Of several that want one the newest has it. */
function withAliases(images: StreamImageView[]): StreamImageView[] {
  const taken = new Set<string>();
  const own = architectures[ownArchitecture];
  return images.sort((a, b) => (a.created_at < b.created_at ? 1 : a.created_at > b.created_at ? -1 : 0)).map((image) => {
    const names = (image.aliases ?? []).flatMap(({ name }) => [...(image.architecture === own ? [name] : []), `${name}/${image.properties!['architecture']}`]);
    const free = names.filter((name) => !taken.has(`${image.type} ${name}`));
    for (const name of free) taken.add(`${image.type} ${name}`);
    return { ...image, aliases: free.map((name) => ({ name, description: '' })) };
  });
}

function imagesOf(product: StreamProduct): StreamImageView[] {
  const images: StreamImageView[] = [];
  const { os = '', release = '', version, variant } = product;
  for (const [serial, { items, label }] of Object.entries(product.versions)) {
    for (const meta of Object.values(items)) {
      if (meta.ftype !== 'lxd.tar.xz' && meta.ftype !== 'lxd_combined.tar.gz') continue;
      const roots = meta.ftype === 'lxd_combined.tar.gz' ? [undefined] : Object.values(items).filter((item) => ['squashfs', 'root.tar.xz', 'disk-kvm.img', 'disk1.img', 'uefi1.img'].includes(item.ftype));
      for (const root of roots) {
        const fingerprint = fingerprintOf(meta, root);
        if (fingerprint === undefined) continue;
        const type = root?.ftype.includes('disk') || root?.ftype.includes('uefi') ? 'virtual-machine' : 'container';
        const date = `${serial.slice(0, 4)}-${serial.slice(4, 6)}-${serial.slice(6, 8)}T00:00:00Z`;
        const names = (product.aliases ?? '').split(',').filter((name) => name !== '').map((name) => ({ name, description: '' }));
        const more = Object.fromEntries(Object.entries({ label, version, variant }).filter(([, value]) => (value ?? '') !== '')) as Record<string, string>;
        const expires = /^\d{4}-\d\d-\d\d$/.test(product.support_eol ?? '') ? `${product.support_eol}T00:00:00Z` : '1970-01-01T00:00:00Z';
        const arch = architectures[product.arch] ?? product.arch;
        const description = [product.os, product.release_title ?? product.release, product.arch, label === undefined ? '' : `(${label})`, `(${serial})`].filter((word) => (word ?? '') !== '').join(' ');
        images.push({
          auto_update: false, properties: sorted({ architecture: product.arch, description, os, release, serial, type: root?.ftype ?? 'tar.gz', ...more }), public: true, expires_at: expires, profiles: null, aliases: names,
          architecture: arch, cached: false, filename: meta.path.split('/').at(-1)!, fingerprint, size: meta.size + (root?.size ?? 0), type, created_at: date, last_used_at: '0001-01-01T00:00:00Z', uploaded_at: date,
          paths: [meta.path, root?.path ?? ''], hashes: [meta.sha256, root?.sha256],
        });
      }
    }
  }
  return images;
}

function sorted(properties: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function fingerprintOf(meta: StreamItem, root: StreamItem | undefined): string | undefined {
  switch (root?.ftype) {
    case undefined: return meta.sha256;
    case 'squashfs': return meta.combined_squashfs_sha256;
    case 'root.tar.xz': return meta.combined_rootxz_sha256 ?? meta.combined_sha256;
    case 'disk-kvm.img': return meta['combined_disk-kvm-img_sha256'];
    default: return meta['combined_disk1-img_sha256'];
  }
}

/** Aliases without an architecture, of images for other machines: good where no image for this one has them. */
export function bareAliases(images: readonly StreamImageView[]): Map<string, StreamImageView> {
  const taken = new Set(images.flatMap((one) => (one.aliases ?? []).map((alias) => alias.name)));
  const found = new Map<string, StreamImageView>();
  for (const image of images) {
    for (const { name } of image.aliases ?? []) {
      const bare = name.slice(0, name.lastIndexOf('/'));
      if (name.endsWith(`/${image.properties!['architecture']}`) && !taken.has(bare) && !found.has(bare)) found.set(bare, image);
    }
  }
  return found;
}

/** The image an alias or the beginning of a fingerprint names; aliases of this machine's architecture first. */
export function chooseStreamImage(images: readonly StreamImageView[], name: string, type: string): StreamImageView | undefined {
  const own = architectures[ownArchitecture];
  const named = images.filter((one) => one.aliases?.some((alias) => alias.name === name));
  const found = named.find((one) => one.type === type && one.architecture === own) ?? named.find((one) => one.architecture === own) ?? named[0] ?? bareAliases(images).get(name);
  return found ?? images.find((one) => one.type === type && one.fingerprint.startsWith(name)) ?? images.find((one) => one.fingerprint.startsWith(name));
}
