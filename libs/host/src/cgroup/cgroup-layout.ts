import { existsSync, readFileSync } from 'node:fs';

/** Where this host's cgroup hierarchies are mounted: v1 by controller, v2 at most once; both on a mixed host. */
export interface CgroupLayout {
  readonly v1: ReadonlyMap<string, string>;
  /** Mount point of the unified hierarchy, empty where there is none. */
  readonly v2: string;
  /** Controllers the unified hierarchy has. */
  readonly v2Controllers: ReadonlySet<string>;
}

/** A process's cgroups: absolute directories, v1 by controller and `''` for the unified hierarchy. */
export type CgroupDirectories = Readonly<Record<string, string>>;

/** From /proc/self/mountinfo; `v2Controllers` is the text of `cgroup.controllers`. A hierarchy mounted twice counts once, as first seen. */
export function parseCgroupLayout(mountinfo: string, v2Controllers: (mountPoint: string) => string): CgroupLayout {
  const v1 = new Map<string, string>();
  let v2 = '';
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const mountPoint = before.split(' ')[4] ?? '';
    const [type = '', , options = ''] = after.split(' ');
    if (type === 'cgroup2' && v2 === '') v2 = mountPoint;
    if (type !== 'cgroup') continue;
    for (const option of options.split(',')) {
      if (!['rw', 'ro', 'xattr', 'clone_children'].includes(option) && !option.includes('release_agent') && !v1.has(option)) v1.set(option, mountPoint);
    }
  }
  return { v1, v2, v2Controllers: new Set(v2 === '' ? [] : v2Controllers(v2).split(/\s+/).filter((name) => name !== '')) };
}

export function readCgroupLayout(): CgroupLayout {
  return parseCgroupLayout(readFileSync('/proc/self/mountinfo', 'utf8'), (mountPoint) => {
    const file = `${mountPoint}/cgroup.controllers`;
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  });
}

/** From /proc/PID/cgroup: lines `hierarchy:controllers:path`. Hierarchies that are not mounted here are left out. */
export function parseProcessCgroups(text: string, layout: CgroupLayout): CgroupDirectories {
  const directories: Record<string, string> = {};
  for (const line of text.split('\n')) {
    const [, id, controllers = '', path = ''] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
    if (id === undefined) continue;
    if (controllers === '') {
      if (layout.v2 !== '') directories[''] = joined(layout.v2, path);
      continue;
    }
    for (const controller of controllers.split(',')) {
      const mountPoint = layout.v1.get(controller);
      if (mountPoint !== undefined) directories[controller] = joined(mountPoint, path);
    }
  }
  return directories;
}

function joined(mountPoint: string, path: string): string {
  return path === '/' ? mountPoint : mountPoint + path;
}

/** Mount points of all hierarchies, each once. */
export function hierarchies(layout: CgroupLayout): string[] {
  return [...new Set([...layout.v1.values(), ...(layout.v2 === '' ? [] : [layout.v2])])];
}
