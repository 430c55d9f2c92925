import { invalid, isTrue } from '#kernel';
import { instanceKeys, volatileDeviceEndings } from './keys/instance.keys.js';
import type { KeySpec } from './key.js';

export type Config = Readonly<Record<string, string>>;
/** Devices by name. */
export type Devices = Readonly<Record<string, Config>>;
/** `any`: a profile, which serves both. */
export type InstanceKind = 'container' | 'virtual-machine' | 'any';

export interface InstanceConfigScope {
  readonly type: InstanceKind;
  /** A profile's own configuration: refuses `volatile.` and `image.` keys. */
  readonly profile: boolean;
  /** The configuration with profiles applied, as opposed to the instance's own. */
  readonly expanded: boolean;
}

const anySpec: KeySpec = { type: 'string', short: 'What a device remembers' };

/** The declaration a key of an instance falls under, or undefined for an unknown one. */
export function findInstanceKey(name: string, type: InstanceKind): KeySpec | undefined {
  // LXD takes these prefixes with nothing behind them too.
  const bare = ['environment.', 'image.', 'user.', 'linux.sysctl.'].includes(name);
  const spec = bare ? instanceKeys.prefixes[name] : instanceKeys.find(name);
  if (spec === undefined) {
    return name.startsWith('volatile.') && volatileDeviceEndings.some((ending) => name.endsWith(ending)) ? anySpec : undefined;
  }
  const forVm = spec.condition === 'virtual machine';
  const forContainer = spec.condition?.endsWith('container') ?? false;
  return (type === 'container' && forVm) || (type === 'virtual-machine' && forContainer) ? undefined : spec;
}

/** Checks one key; the empty value is always right for a known key. */
export function validateInstanceKey(name: string, value: string, scope: InstanceConfigScope): void {
  if (scope.profile && name.startsWith('volatile.')) throw invalid('Volatile keys can only be set on instances');
  if (scope.profile && name.startsWith('image.')) throw invalid('Image keys can only be set on instances');
  const spec = findInstanceKey(name, scope.type);
  if (spec === undefined) throw invalid(`Unknown configuration key: ${name}`);
  if (value !== '') spec.check?.(value, name);
}

/**
 * Checks a whole configuration, keys by themselves and together. LXD's words, without the `Invalid config: ` an instance's caller puts in
 * front. @throws `invalid`.
 */
export function validateInstanceConfig(config: Config, scope: InstanceConfigScope): void {
  for (const [name, value] of Object.entries(config)) validateInstanceKey(name, value, scope);
  if (scope.type !== 'virtual-machine') {
    validateSeccomp(config);
    validateFuse(config);
  }
  if (isTrue(config['security.privileged']) && isTrue(config['nvidia.runtime'])) throw invalid('nvidia.runtime is incompatible with privileged containers');
}

/** `ext4=fuse2fs`, several separated by commas; looked at only where mounts are intercepted, as by LXD. */
function validateFuse(config: Config): void {
  const name = 'security.syscalls.intercept.mount.fuse';
  if (!isTrue(config['security.syscalls.intercept.mount']) || !config[name]) return;
  for (const pair of config[name].split(',')) {
    if (!/^[^=\s]+=[^=\s]+$/.test(pair.trim())) throw invalid(`${name} is not of the form 'filesystem=fuse-binary': ${pair.trim()}`);
  }
}

function validateSeccomp(config: Config): void {
  const set = (name: string): boolean => (config[name] ?? '') !== '';
  for (const [now, former] of [['allow', 'whitelist'], ['deny', 'blacklist'], ['deny_compat', 'blacklist_compat'], ['deny_default', 'blacklist_default']]) {
    if (set(`security.syscalls.${now}`) && set(`security.syscalls.${former}`)) {
      throw invalid(`Mutually exclusive keys security.syscalls.${now} and security.syscalls.${former} are set`);
    }
  }
  const allow = set('security.syscalls.allow') || set('security.syscalls.whitelist');
  const deny = ['deny', 'deny_compat', 'deny_default', 'blacklist', 'blacklist_compat', 'blacklist_default'].some((name) => set(`security.syscalls.${name}`));
  if (set('raw.seccomp') && (allow || deny)) throw invalid('raw.seccomp is mutually exclusive with security.syscalls*');
  if (allow && deny) throw invalid('security.syscalls.allow is mutually exclusive with security.syscalls.deny*');
}

/** Keys with an empty value mean "unset" and are not kept. */
export function withoutEmpty(config: Config): Record<string, string> {
  return Object.fromEntries(Object.entries(config).filter(([, value]) => value !== ''));
}

export interface Expanded {
  readonly config: Record<string, string>;
  readonly devices: Record<string, Record<string, string>>;
}

/**
 * Profiles in their order, the instance's own last: a later key replaces an earlier one, a later device the whole device of that name.
 */
export function expandProfiles(profiles: readonly { readonly config: Config; readonly devices: Devices }[], config: Config, devices: Devices): Expanded {
  const expanded: Expanded = { config: {}, devices: {} };
  for (const layer of [...profiles, { config, devices }]) {
    Object.assign(expanded.config, layer.config);
    for (const [name, device] of Object.entries(layer.devices)) expanded.devices[name] = { ...device };
  }
  return expanded;
}
