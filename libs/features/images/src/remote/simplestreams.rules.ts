import { z } from 'zod';
import { zeroTime } from '#api-types';
import type { ImageType } from '../data/images.repository.js';
import { architectureName } from '../rules/architectures.rules.js';
import { fromUnix } from '../rules/image-wire.rules.js';
import type { RemoteImage } from './image-server.js';

/** `streams/v1/index.json`. Only what is used is looked at; the rest of a stream may be anything. */
export const streamIndex = z.object({
  index: z.record(z.string(), z.object({ datatype: z.string().optional(), path: z.string(), format: z.string().optional() })),
});

const streamItem = z.looseObject({ ftype: z.string(), path: z.string(), size: z.number().optional(), sha256: z.string().optional() });
const streamVersion = z.object({ items: z.record(z.string(), streamItem).optional(), label: z.string().optional() });
const streamProduct = z.object({
  aliases: z.string().optional(), arch: z.string(), os: z.string().optional(), release: z.string().optional(), release_title: z.string().optional(),
  support_eol: z.string().nullish(), variant: z.string().nullish(), version: z.string().nullish(),
  lxd_requirements: z.record(z.string(), z.unknown()).nullish(),
  versions: z.record(z.string(), streamVersion).optional(),
});

/** A file of products, `streams/v1/...json`. */
export const streamProducts = z.object({ products: z.record(z.string(), streamProduct) });
export type StreamProducts = z.infer<typeof streamProducts>;
type Product = z.infer<typeof streamProduct>;
type Item = z.infer<typeof streamItem>;

export interface StreamFile {
  /** Relative to the server's URL. */
  readonly path: string;
  readonly sizeBytes: number;
}

/** An image of a stream with the files it is made of. */
export interface StreamImage extends RemoteImage {
  readonly aliases: readonly string[];
  readonly meta: StreamFile;
  /** Null for a unified image. */
  readonly rootfs: StreamFile | null;
  /** Smaller is preferred among images of one alias: squashfs before tarballs, they unpack with fewer steps. */
  readonly rank: number;
  /** Name of the version; a later one sorts after an earlier one. */
  readonly serial: string;
}

interface RootKind {
  readonly ftype: RegExp;
  readonly hashes: readonly string[];
  readonly type: ImageType;
}

/** Kinds of root files in order of preference, with the field of `lxd.tar.xz` that holds the hash of both. */
const rootKinds: readonly RootKind[] = [
  { ftype: /^squashfs$/, hashes: ['combined_squashfs_sha256'], type: 'container' },
  { ftype: /^root\.tar\.xz$/, hashes: ['combined_rootxz_sha256', 'combined_sha256'], type: 'container' },
  { ftype: /^disk-kvm\.img$/, hashes: ['combined_disk-kvm-img_sha256'], type: 'virtual-machine' },
  { ftype: /^uefi1\.img$/, hashes: ['combined_uefi1-img_sha256'], type: 'virtual-machine' },
  { ftype: /^disk1\.img$/, hashes: ['combined_disk1-img_sha256'], type: 'virtual-machine' },
];

/** All images in a file of products that this program can use. */
export function imagesOf(products: StreamProducts): StreamImage[] {
  return Object.values(products.products).flatMap((product) => imagesOfProduct(product));
}

function imagesOfProduct(product: Product): StreamImage[] {
  const architecture = architectureName(product.arch);
  if (architecture === undefined) return [];
  return Object.entries(product.versions ?? {}).flatMap(([serial, version]) => {
    const items = Object.values(version.items ?? {});
    const base = {
      architecture, serial, createdAt: dateOf(serial), expiresAt: dateOf((product.support_eol ?? '').replaceAll('-', '')),
      aliases: (product.aliases ?? '').split(',').map((alias) => alias.trim()).filter((alias) => alias !== ''),
    };
    const properties = (kind: string): Record<string, string> => propertiesOf(product, version.label ?? '', serial, kind);
    return [...splitImages(items, base, properties), ...unifiedImages(items, base, properties)];
  });
}

type Base = Pick<StreamImage, 'architecture' | 'serial' | 'createdAt' | 'expiresAt' | 'aliases'>;
type Properties = (kind: string) => Record<string, string>;

function splitImages(items: readonly Item[], base: Base, properties: Properties): StreamImage[] {
  const meta = items.find((item) => item.ftype === 'lxd.tar.xz' || item.ftype === 'incus.tar.xz');
  if (meta === undefined) return [];
  return rootKinds.flatMap((kind, rank) => {
    const root = items.find((item) => kind.ftype.test(item.ftype));
    const fingerprint = kind.hashes.map((field) => meta[field]).find((hash): hash is string => typeof hash === 'string' && hash !== '');
    if (root === undefined || fingerprint === undefined) return [];
    return [{
      ...base, fingerprint, type: kind.type, rank, filename: nameOf(meta.path), meta: fileOf(meta), rootfs: fileOf(root),
      sizeBytes: (meta.size ?? 0) + (root.size ?? 0), properties: properties(root.ftype),
    }];
  });
}

function unifiedImages(items: readonly Item[], base: Base, properties: Properties): StreamImage[] {
  return items.filter((item) => item.ftype === 'lxd_combined.tar.gz' && (item.sha256 ?? '') !== '').map((item) => ({
    ...base, fingerprint: item.sha256!, type: 'container' as const, rank: rootKinds.length, filename: nameOf(item.path), meta: fileOf(item),
    rootfs: null, sizeBytes: item.size ?? 0, properties: properties(item.ftype),
  }));
}

function propertiesOf(product: Product, label: string, serial: string, kind: string): Record<string, string> {
  const words = [product.os, product.release_title, product.arch, label === '' ? '' : `(${label})`, `(${serial})`];
  const requirements = Object.entries(product.lxd_requirements ?? {}).map(([key, value]) => [`requirements.${key}`, String(value)]);
  const known: Record<string, string | null | undefined> = {
    architecture: product.arch, description: words.filter((word) => word !== undefined && word !== '').join(' '), label, os: product.os,
    release: product.release, serial, type: kind, version: product.version, variant: product.variant,
  };
  return { ...Object.fromEntries(Object.entries(known).filter((e): e is [string, string] => typeof e[1] === 'string' && e[1] !== '')), ...Object.fromEntries(requirements) };
}

/** `20260101`, `20260101_07:42` or `20260101.1` to RFC 3339; "never" for anything else. */
function dateOf(text: string): string {
  const parts = /^(\d{4})(\d\d)(\d\d)(?:_(\d\d):?(\d\d))?/.exec(text);
  if (parts === null) return zeroTime;
  const seconds = Date.UTC(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]), Number(parts[4] ?? 0), Number(parts[5] ?? 0)) / 1000;
  return Number.isNaN(seconds) ? zeroTime : fromUnix(seconds);
}

function fileOf(item: Item): StreamFile {
  return { path: item.path, sizeBytes: item.size ?? 0 };
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/**
 * The image an alias or the beginning of a fingerprint stands for. An alias means the newest version for the first of
 * `architectures` that has it; `alias/amd64` names the architecture. Containers come before virtual machines when `type` is empty.
 */
export function chooseImage(images: readonly StreamImage[], name: string, type: string, architectures: readonly string[]): StreamImage | undefined {
  const usable = images.filter((image) => type === '' || image.type === type);
  return byAlias(usable, name, architectures) ?? (/^[0-9a-f]{6,64}$/.test(name) ? byFingerprint(usable, name) : undefined);
}

function byAlias(images: readonly StreamImage[], name: string, architectures: readonly string[]): StreamImage | undefined {
  for (const architecture of architectures) {
    const found = newest(images.filter((image) => image.architecture === architecture && image.aliases.includes(name)));
    if (found !== undefined) return found;
  }
  const slash = name.lastIndexOf('/');
  const named = slash < 0 ? undefined : architectureName(name.slice(slash + 1));
  if (named === undefined) return undefined;
  return newest(images.filter((image) => image.architecture === named && image.aliases.includes(name.slice(0, slash))));
}

function newest(images: readonly StreamImage[]): StreamImage | undefined {
  return [...images].sort((a, b) => Number(a.type !== 'container') - Number(b.type !== 'container') || compare(b.serial, a.serial) || a.rank - b.rank)[0];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function byFingerprint(images: readonly StreamImage[], prefix: string): StreamImage | undefined {
  const matches = new Map(images.filter((image) => image.fingerprint.startsWith(prefix)).map((image) => [image.fingerprint, image]));
  return matches.size === 1 ? [...matches.values()][0] : undefined;
}
