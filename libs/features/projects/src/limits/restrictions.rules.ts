import { normalize } from 'node:path/posix';
import { internal, isFalse, isTrue } from '#kernel';
import type { ConfigText, LimitedEntity, ProjectContent } from './project-content.repository.js';

/** Defaults of LXD: what a restricted project may not do unless it is allowed. */
const defaults: Readonly<Record<string, string>> = { 'restricted.containers.privilege': 'unprivileged', 'restricted.devices.disk': 'managed', 'restricted.devices.nic': 'managed' };

const lowLevel = new Set([
  'boot.host_shutdown_timeout', 'linux.kernel_modules', 'raw.apparmor', 'raw.lxc', 'raw.seccomp', 'security.devlxd.images', 'security.idmap.base', 'security.idmap.size',
]);
const intercept = 'security.syscalls.intercept.';
/** What `restricted.containers.interception` is about; the rest of the family is low-level. */
const interceptions = new Set(['bpf', 'bpf.devices', 'mknod', 'mount', 'mount.fuse', 'setxattr'].map((name) => intercept + name));

const forbiddenDevices: Readonly<Record<string, string>> = {
  'unix-char': 'Unix character devices', 'unix-block': 'Unix block devices', 'unix-hotplug': 'Unix hotplug devices', infiniband: 'Infiniband devices',
  gpu: 'GPU devices', usb: 'USB devices', pci: 'PCI devices', proxy: 'Proxy devices',
};

export function isRestricted(config: ConfigText): boolean {
  return isTrue(config['restricted']);
}

/** The value of a restriction, or its default. */
export function restriction(config: ConfigText, key: string): string {
  return config[key] || defaults[key] || 'block';
}

/** Everything in a restricted project keeps to its rules. @throws in LXD's words. */
export function checkRestrictions({ project, instances, profiles }: ProjectContent): void {
  if (!isRestricted(project.config)) return;
  for (const entity of [...instances, ...profiles]) {
    // LXD calls a profile by what it is, but for what is wrong with a value.
    const called = ` "${entity.name}" of project "${project.name}"`;
    const where = `on ${entity.type || 'profile'}${called}`;
    for (const key of Object.keys(entity.config).toSorted()) checkKey(project.config, key, entity.config[key]!, { where, whereValue: `on ${entity.type}${called}` });
    for (const name of Object.keys(entity.devices).toSorted()) {
      const problem = deviceProblem(project.config, entity.devices[name]!);
      if (problem !== null) throw internal(`Invalid device "${name}" ${where}: ${problem}`);
    }
  }
}

function checkKey(project: ConfigText, key: string, value: string, { where, whereValue }: { readonly where: string; readonly whereValue: string }): void {
  const lowLevelAllowed = restriction(project, 'restricted.containers.lowlevel') === 'allow';
  if (!lowLevelAllowed && key === 'raw.idmap') return checkIdmap(project, value, where);
  const isLowLevel = lowLevel.has(key) || (key.startsWith(intercept) && !interceptions.has(key));
  if (!lowLevelAllowed && isLowLevel) throw internal(`Use of low-level config "${key}" ${where} is forbidden`);
  const problem = keyProblem(project, key, value);
  if (problem !== null) throw internal(`Invalid value "${value}" for config "${key}" ${whereValue}: ${problem}`);
}

function keyProblem(project: ConfigText, key: string, value: string): string | null {
  const privilege = restriction(project, 'restricted.containers.privilege');
  if (key === 'security.nesting') return isTrue(value) && restriction(project, 'restricted.containers.nesting') === 'block' ? 'Container nesting is forbidden' : null;
  if (key === 'security.privileged') return isTrue(value) && privilege !== 'allow' ? 'Privileged containers are forbidden' : null;
  if (key === 'security.idmap.isolated') return isFalse(value) && privilege === 'isolated' ? 'Non-isolated containers are forbidden' : null;
  const intercepts = interceptions.has(key) && value !== '' && !isFalse(value);
  return intercepts && restriction(project, 'restricted.containers.interception') === 'block' ? 'Container syscall interception is forbidden' : null;
}

/** Host ids named must lie in the project's ranges. */
function checkIdmap(project: ConfigText, value: string, where: string): void {
  const [uids, gids] = ['restricted.idmap.uid', 'restricted.idmap.gid'].map((key) => (project[key] ?? '').split(',').map((text) => range(text)).filter((one) => one !== null));
  for (const [index, line] of value.split('\n').filter((text) => text.trim() !== '').entries()) {
    const [kind = '', host = ''] = line.trim().split(/\s+/);
    const asked = range(host);
    const covered = (allowed: readonly (readonly [number, number])[] | undefined): boolean => asked !== null && (allowed ?? []).some(([first, last]) => first <= asked[0] && asked[1] <= last);
    const fits = (kind === 'gid' || covered(uids)) && (kind === 'uid' || covered(gids));
    if (!fits) throw internal(`Use of low-level "raw.idmap" element ${index} ${where} is forbidden`);
  }
}

function range(text: string): readonly [number, number] | null {
  const match = /^(\d+)(?:-(\d+))?$/.exec(text.trim());
  return match === null ? null : [Number(match[1]), Number(match[2] ?? match[1])];
}

function deviceProblem(project: ConfigText, device: ConfigText): string | null {
  const type = device['type'] ?? '';
  const rule = restriction(project, `restricted.devices.${type}`);
  if (type === 'nic') return nicProblem(project, rule, device);
  if (type === 'disk') return diskProblem(project, rule, device);
  return type in forbiddenDevices && rule !== 'allow' ? `${forbiddenDevices[type]} are forbidden` : null;
}

function nicProblem(project: ConfigText, rule: string, { network = '' }: ConfigText): string | null {
  if (rule === 'block') return 'Network devices are forbidden';
  if (rule === 'managed' && network === '') return 'Only managed network devices are allowed';
  const access = project['restricted.networks.access'] ?? '';
  return network !== '' && access !== '' && !access.split(',').some((name) => name.trim() === network) ? 'Network not allowed in project' : null;
}

function diskProblem(project: ConfigText, rule: string, { path = '', pool = '', source = '' }: ConfigText): string | null {
  if (path === '/') return null;
  if (rule === 'block') return 'Disk devices are forbidden';
  if (pool !== '') return null;
  if (rule === 'managed') return 'Attaching disks not backed by a pool is forbidden';
  const paths = allowedPaths(project);
  return paths.length === 0 || paths.some((allowed) => isBelow(source, allowed)) ? null : `Disk source path "${source}" not allowed`;
}

/** The directory, of those that a restricted project may have disks from, that a source on the host is named below; empty where any may be had. */
export function restrictedParentOf(project: ConfigText, { type, pool = '', path = '', source = '' }: ConfigText): string {
  if (!isRestricted(project) || type !== 'disk' || pool !== '' || path === '/') return '';
  return allowedPaths(project).find((allowed) => isBelow(source, allowed)) ?? '';
}

function allowedPaths(project: ConfigText): string[] {
  return (project['restricted.devices.disk.paths'] ?? '').split(',').map((path) => path.trim()).filter((path) => path !== '');
}

function isBelow(path: string, directory: string): boolean {
  const clean = (text: string): string => `${normalize(text)}/`.replace(/\/+$/, '/');
  return clean(path).startsWith(clean(directory));
}

const safeVolatile = new Set(['volatile.apply_template', 'volatile.base_image', 'volatile.last_state.power']);

/** What users of a restricted project may not forge. @throws in LXD's words. */
export function checkVolatile(project: { readonly name: string; readonly config: ConfigText }, entity: Pick<LimitedEntity, 'type' | 'name'>, wanted: ConfigText, current: ConfigText): void {
  if (!isRestricted(project.config) || restriction(project.config, 'restricted.containers.lowlevel') === 'allow') return;
  for (const [key, value] of Object.entries(wanted)) {
    if (!key.startsWith('volatile.') || safeVolatile.has(key) || key.endsWith('.hwaddr') || key.endsWith('.apply_quota') || current[key] === value) continue;
    throw internal(`${current[key] === undefined ? 'Setting' : 'Changing'} "${key}" on ${entity.type} "${entity.name}" in project "${project.name}" is forbidden`);
  }
}
