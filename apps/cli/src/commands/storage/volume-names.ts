import { invalid } from '#kernel';
import type { Invocation } from '../../invocation.js';
import { url, type Server } from '../../server.js';

export interface VolumeName {
  readonly type: string;
  readonly name: string;
  /** Empty for the volume itself. */
  readonly snapshot: string;
}

const types = ['custom', 'image', 'container', 'virtual-machine'];

/** `data`, `data/snap0`, `container/c1`, `container/c1/snap0`. */
export function parseVolume(text: string): VolumeName {
  const words = text.split('/');
  const typed = words.length > 1 && types.includes(words[0]!);
  const [name = '', snapshot = ''] = typed ? words.slice(1) : words;
  return { type: typed ? words[0]! : 'custom', name, snapshot };
}

/** The pool of the first argument. */
export async function poolOf(invocation: Invocation): Promise<{ server: Server; pool: string }> {
  const { server, name: pool } = await invocation.place(invocation.arg(0));
  if (pool === '') throw invalid('Missing pool name');
  const target = invocation.flags.text('target');
  if (target !== '' && !server.clustered) throw invalid('To use --target, the destination remote must be a cluster');
  return { server, pool };
}

export function volumeUrl(invocation: Invocation, pool: string, volume: VolumeName, more: readonly string[] = []): string {
  const snapshot = volume.snapshot === '' ? [] : ['snapshots', volume.snapshot];
  return url(['storage-pools', pool, 'volumes', volume.type, volume.name, ...snapshot, ...more], { target: invocation.flags.text('target') });
}

/** What can be changed of a volume. */
export function writableVolume(value: Record<string, unknown>): Record<string, unknown> {
  return { config: value['config'] ?? null, description: value['description'] ?? '', restore: undefined };
}
