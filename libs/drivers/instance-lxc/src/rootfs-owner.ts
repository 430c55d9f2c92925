import { chownSync, lstatSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { RoostHelper } from '#host';
import { conflict, internal, isTrue } from '#kernel';
import type { IdmapEntry, InstanceSpec } from '#ports';
import { formatIdmap, hostId, parseIdmap } from './idmap.rules.js';

export interface PreparedRootfs {
  /** Mount it with the container's id map. */
  readonly idmapped: boolean;
  readonly volatile: Record<string, string>;
}

/**
 * Makes the files of a root file system belong to whom the container needs. Where the file system can be mounted with an id map, they
 * keep the container's own ids on disk; elsewhere they are rewritten, and `volatile.last_state.idmap` tells what they were rewritten to.
 */
export class RootfsOwner {
  private readonly canIdmap = new Map<number, Promise<boolean>>();

  constructor(private readonly helper: RoostHelper, private readonly idmappedMountsDisabled: boolean) {}

  async prepare(spec: InstanceSpec, rootfs: string, signal?: AbortSignal): Promise<PreparedRootfs> {
    giveVolume(dirname(rootfs), hostId(spec.idmap, 0, 'uid') ?? 0);
    // Nobody can change it from here on; who owned its volume until now could.
    if (!lstatSync(rootfs).isDirectory()) throw conflict(`"${rootfs}" is not a directory: refusing to start a container from it`);
    const mapped = spec.idmap.length > 0 && (await this.supportsIdmap(rootfs));
    const onDisk = parseIdmap(spec.config['volatile.last_state.idmap']);
    const wanted: readonly IdmapEntry[] = mapped ? [] : spec.idmap;
    if (formatIdmap(onDisk) !== formatIdmap(wanted)) {
      if (isTrue(spec.config['security.protection.shift'])) throw internal('Failed to handle idmapped storage: Container is protected against filesystem shifting');
      await this.helper.shiftTree(rootfs, onDisk, wanted, signal);
    }
    return {
      idmapped: mapped,
      volatile: { 'volatile.last_state.idmap': formatIdmap(wanted), 'volatile.idmap.current': formatIdmap(spec.idmap) },
    };
  }

  /** Asked once per file system. */
  private supportsIdmap(path: string): Promise<boolean> {
    if (this.idmappedMountsDisabled) return Promise.resolve(false);
    const { dev } = statSync(path);
    let answer = this.canIdmap.get(dev);
    if (answer === undefined) {
      answer = this.helper.canIdmap(path);
      this.canIdmap.set(dev, answer);
      // A failed probe says nothing about the file system.
      answer.catch(() => this.canIdmap.delete(dev));
    }
    return answer;
  }
}

/**
 * The volume's directory around the root file system is entered by the container's root and by nobody else (mode 0100): files inside
 * may be setuid for real root (hazards E6).
 */
function giveVolume(directory: string, uid: number): void {
  const status = statSync(directory);
  if ((status.mode & 0o077) !== 0) throw conflict(`Others may enter "${directory}": refusing to start a container from it`);
  if (status.uid !== uid || status.gid !== 0) chownSync(directory, uid, 0);
}

/** `ROOST_IDMAPPED_MOUNTS_DISABLE`, or `LXD_...` where that is unset. */
export function idmappedMountsDisabled(environment: NodeJS.ProcessEnv): boolean {
  return isTrue(environment['ROOST_IDMAPPED_MOUNTS_DISABLE'] ?? environment['LXD_IDMAPPED_MOUNTS_DISABLE']);
}
