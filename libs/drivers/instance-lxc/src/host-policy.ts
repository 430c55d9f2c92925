import { lstatSync, readFileSync } from 'node:fs';
import { forbidden, internal, invalid, messageOf } from '#kernel';

/**
 * What the agent does for a daemon and what not (hazards E4). It is the administrator's, not the daemon's: a daemon that is not root
 * and has been taken over must not be able to make itself root through an instance's configuration.
 */
export interface HostPolicy {
  /** Whether `raw.lxc` may name programs and files for the host to run or read (`lxc.hook.*`, `lxc.include`, ...). */
  readonly rawLxcPrograms: boolean;
  readonly privilegedInstances: boolean;
  /** Host directories that a disk device may come from, with all below; empty for any. */
  readonly diskSources: readonly string[];
  /** Host directories that no disk device may come from; `/` means the root itself only. */
  readonly refusedDiskSources: readonly string[];
}

/** A daemon that runs as root needs no protection from itself: everything is allowed, as with LXD. */
export const policyForRootDaemon: HostPolicy = { rawLxcPrograms: true, privilegedInstances: true, diskSources: [], refusedDiskSources: [] };

export const policyForPlainDaemon: HostPolicy = {
  rawLxcPrograms: false, privilegedInstances: true, diskSources: [],
  refusedDiskSources: ['/', '/boot', '/dev', '/etc', '/proc', '/root', '/run', '/sys', '/usr'],
};

/** Reads the policy file (JSON with the fields of `HostPolicy`, each optional); absent means the default. It must be root's own. */
export function readHostPolicy(path: string, fallback: HostPolicy): HostPolicy {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status === undefined) return fallback;
  if (!status.isFile() || status.uid !== 0 || (status.mode & 0o022) !== 0) throw forbidden(`The policy file ${path} must be a file that only root can write`);
  try {
    return { ...fallback, ...(JSON.parse(readFileSync(path, 'utf8')) as Partial<HostPolicy>) };
  } catch (error) {
    throw internal(`Cannot read the policy file ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Keys that make root on the host run, read or write something of the writer's choice. */
const programKeys = /^lxc\.(hook\.|include$|execute\.|cgroup2?\.devices|rootfs\.|mount\.|mount$|console\.|log\.|net\.\d+\.script|seccomp\.|apparmor\.|idmap)/;
/** The driver finds its containers by these, whoever asks for something else. */
const ownKeys = /^lxc\.cgroup2?\.(dir|relative)/;

/** Throws `forbidden` for a line of `raw.lxc` that the policy does not allow, `invalid` for one that would hide the container from us. */
export function checkRawLxc(raw: string, policy: HostPolicy): void {
  for (const line of raw.split('\n')) {
    const key = line.trim().split('=')[0]?.trim().toLowerCase() ?? '';
    if (key === '' || key.startsWith('#')) continue;
    if (ownKeys.test(key)) throw invalid(`Setting ${key} is not allowed`);
    if (!policy.rawLxcPrograms && programKeys.test(key)) {
      throw forbidden(`The host's policy does not allow ${key} in raw.lxc`);
    }
  }
}

/** Whether it matters where a disk comes from. */
export function judgesDiskSources({ diskSources, refusedDiskSources }: HostPolicy): boolean {
  return diskSources.length > 0 || refusedDiskSources.length > 0;
}

/** `source` has no links left in it. */
export function checkDiskSource(source: string, policy: HostPolicy, ownDirectories: { refused: string; allowed: string }): void {
  const within = (directory: string): boolean => source === directory || (directory !== '/' && source.startsWith(`${directory}/`));
  const refused = policy.refusedDiskSources.some(within) || (policy.refusedDiskSources.length > 0 && within(ownDirectories.refused) && !within(ownDirectories.allowed));
  if (refused || (policy.diskSources.length > 0 && !policy.diskSources.some(within) && !within(ownDirectories.allowed))) {
    throw forbidden(`The host's policy does not allow disks from "${source}"`);
  }
}
