import { expect } from 'vitest';
import type { CommandResult, Target } from './target.js';

/** What two daemons may say differently without meaning anything else: identities, times, addresses, sizes of this moment. */
const masks: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)/g, '<time>'],
  [/\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d(:\d\d)?( ?(UTC|[+-]\d{4}( UTC)?))?/g, '<time>'],
  [/[A-Z][a-z]{2} \d{1,2}, \d{4} at \d{1,2}:\d\d(am|pm) \(UTC\)/g, '<time>'],
  [/00:16:3e:[0-9a-f]{2}:[0-9a-f]{2}:[0-9a-f]{2}/g, '<mac>'],
  [/\bveth[0-9a-f]{8}\b/g, '<veth>'],
  [/\b10\.\d+\.\d+\.\d+(\/\d+)?\b/g, '<ipv4>'],
  [/\bfd[0-9a-f]{2}:[0-9a-f:]+(\/\d+)?/g, '<ipv6>'],
  [/\bfe80::[0-9a-f:]+/g, '<link-local>'],
  [/\/tmp\/rt-(lxd|roost)-[A-Za-z0-9]+/g, '<root>'],
  [/\/tmp\/rc-[A-Za-z0-9]+\/m(?=\d)/g, '<root>/m'],
  [/ETag doesn't match: [0-9a-f]+/g, "ETag doesn't match: <hash>"],
];

/** What the client overwrites on its line while it waits; how often depends on speed. */
const progress = /(Retrieving image|Exporting the image|Transferring (image|instance)|Evacuating cluster member|Restoring cluster member|Unpacking|Remapping)[^\r\n]*(?=[\r\n]|$)/g;

export interface CompareOptions {
  /** Applied to both outputs before comparing, after the masks. */
  readonly normalise?: (text: string) => string;
  readonly env?: (target: Target) => NodeJS.ProcessEnv;
}

export function mask(text: string): string {
  return masks.reduce((masked, [pattern, name]) => masked.replace(pattern, name), text);
}

/** A result without what two daemons may say differently. */
export function shown(result: CommandResult, options: CompareOptions): string {
  const clean = (text: string): string => (options.normalise ?? ((t: string) => t))(squeeze(mask(text)));
  return `exit ${result.code}\n--- stdout\n${clean(result.stdout)}\n--- stderr\n${clean(result.stderr)}`;
}

/** Column widths of tables follow the widest cell, which a mask may have changed: spaces and rules count once. */
function squeeze(text: string): string {
  return text.replace(progress, '').replace(/\r|\^@/g, '').replace(/^ +(?=(Starting|Creating) )/gm, '').replace(/ {2,}/g, ' ').replace(/-{3,}/g, '---').trim();
}

/** Runs the same shell line on both daemons and expects the same exit code, output and errors. Returns ours. */
export function same(roost: Target, lxd: Target, line: string, options: CompareOptions = {}): CommandResult {
  const theirs = lxd.run(line, options.env?.(lxd) ?? {});
  const ours = roost.run(line, options.env?.(roost) ?? {});
  expect(shown(ours, options), line).toBe(shown(theirs, options));
  return ours;
}
