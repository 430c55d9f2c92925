import { invalid, isFalse } from '#kernel';
import type { DeviceSpec } from '#ports';
import type { DeviceNode } from './device-nodes.js';

const defaultMode = '0660';

/** What lies at a path of the host; null for nothing. */
export type HostNode = { readonly kind: 'c' | 'b' | 'other'; readonly major: number; readonly minor: number } | null;

type Config = Readonly<Record<string, string>>;

/** Where the host has it, and where it shall be inside: each stands for the other that is not set. */
export function unixPaths(config: Config): { source: string; path: string } {
  const source = config['source'] || config['path'] || '';
  const path = config['path'] || source;
  return { source, path: path.startsWith('/') ? path : `/${path}` };
}

export function isRequired(config: Config): boolean {
  return !isFalse(config['required']);
}

export function ownership(config: Config): Pick<DeviceNode, 'mode' | 'uid' | 'gid'> {
  return { mode: Number.parseInt(config['mode'] || defaultMode, 8), uid: Number(config['uid'] || 0), gid: Number(config['gid'] || 0) };
}

/**
 * The node a `unix-char` or `unix-block` device stands for; null while there is none and none is required. Numbers in the configuration need no
 * node on the host.
 */
export function unixNode({ config }: DeviceSpec, look: (path: string) => HostNode): DeviceNode | null {
  const { source, path } = unixPaths(config);
  const kind = config['type'] === 'unix-block' ? 'b' : 'c';
  const [major, minor] = [config['major'] ?? '', config['minor'] ?? ''];
  if (major !== '' && minor !== '') return { kind, major: Number(major), minor: Number(minor), path, ...ownership(config) };
  const found = look(source);
  if (found === null) {
    if (!isRequired(config)) return null;
    throw invalid("The required device path doesn't exist and the major and minor settings are not specified");
  }
  if (major !== '' || minor !== '') throw invalid(`Both major and minor must be supplied for device: ${path}`);
  if (found.kind !== kind) throw invalid(`Path specified is not a ${config['type']} device`);
  return { kind, major: found.major, minor: found.minor, path, ...ownership(config) };
}
