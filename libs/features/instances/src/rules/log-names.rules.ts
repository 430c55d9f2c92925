import { invalid } from '#kernel';

const fixed = new Set(['lxc.log', 'lxc.conf', 'qemu.log']);
const prefixes = ['migration_', 'snapshot_', 'exec_'];

/** Files of an instance's log directory that the API shows. */
export function isLogName(name: string): boolean {
  return !name.includes('/') && !name.includes('..') && (fixed.has(name) || prefixes.some((prefix) => name.startsWith(prefix)));
}

export function isRecordedOutput(name: string): boolean {
  return name.startsWith('exec_');
}

/** @throws `invalid` in LXD's words. */
export function checkLogName(name: string): void {
  if (!isLogName(name)) throw invalid(`log file name ${name} not valid`);
}

/** @throws `invalid` in LXD's words for those that are kept. */
export function checkLogRemoval(name: string): void {
  if (name === 'lxc.log' || name === 'lxc.conf') throw invalid('lxc.log and lxc.conf may not be deleted');
}
