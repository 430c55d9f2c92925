import { invalid } from '#kernel';
import { parse, YAMLParseError } from 'yaml';
import { isInteger } from '../key.js';

/** Go's complaint about text that is no number, which clients get to see. */
export function parseError(go: 'Atoi' | 'ParseInt' | 'ParseUint', text: string, problem = 'invalid syntax'): string {
  return `strconv.${go}: parsing "${text}": ${problem}`;
}

/** Decimal with a sign where Go takes one. */
export function parseInteger(text: string, go: 'Atoi' | 'ParseInt' = 'Atoi'): number {
  if (!/^[+-]?\d+$/.test(text)) throw invalid(parseError(go, text));
  return Number(text);
}

export function isUint32(value: string): void {
  if (!/^\d+$/.test(value)) throw invalid(`Invalid value for uint32 "${value}": ${parseError('ParseUint', value)}`);
  if (Number(value) > 0xffff_ffff) throw invalid(`Invalid value for uint32 "${value}": ${parseError('ParseUint', value, 'value out of range')}`);
}

/** 0 to 10, as for `limits.*.priority`. */
export function isPriority(value: string): void {
  isInteger(value);
  if (Number(value) < 0 || Number(value) > 10) throw invalid(`Invalid value for a limit "${value}". Must be between 0 and 10`);
}

export function isUint8(value: string): void {
  if (!/^\d+$/.test(value) || Number(value) > 255) throw invalid(`Invalid value for an integer "${value}". Must be between 0 and 255`);
}

export function isUuid(value: string): void {
  if (!/^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(value)) throw invalid('Invalid UUID');
}

const sizeUnits: Readonly<Record<string, bigint>> = {
  '': 1n, B: 1n, ' bytes': 1n,
  kB: 10n ** 3n, MB: 10n ** 6n, GB: 10n ** 9n, TB: 10n ** 12n, PB: 10n ** 15n, EB: 10n ** 18n,
  KiB: 2n ** 10n, MiB: 2n ** 20n, GiB: 2n ** 30n, TiB: 2n ** 40n, PiB: 2n ** 50n, EiB: 2n ** 60n,
};

/** Bytes in LXD's units; 64 bits. */
export function parseSize(value: string): bigint {
  const match = /^(\d+)(.*)$/.exec(value);
  const unit = match === null ? undefined : sizeUnits[match[2] ?? ''];
  if (match === null || unit === undefined) throw invalid(`Invalid value: ${value}`);
  const bytes = BigInt(match[1]!) * unit;
  if (bytes >= 2n ** 63n) throw invalid(`Overflow multiplying ${match[1]} with ${unit}`);
  return bytes;
}

export function isSize(value: string): void {
  parseSize(value);
}

/** Bytes, or a percentage of the host's memory. */
export function isMemoryLimit(value: string): void {
  if (value.endsWith('%')) {
    if (parseInteger(value.slice(0, -1), 'ParseInt') === 0) throw invalid("Memory limit can't be 0%");
  } else if (parseSize(value) === 0n) {
    throw invalid("Memory limit can't be 0");
  }
}

/** The CPUs named by a set such as `0-2,5`; for a plain number see `isCpuLimit`. A range that goes down is empty, as in LXD. */
export function parseCpuSet(value: string): number[] {
  const cpus: number[] = [];
  for (const part of value.split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (match === null) throw invalid('Invalid CPU limit syntax');
    for (let cpu = Number(match[1]); cpu <= Number(match[2] ?? match[1]); cpu++) {
      if (cpus.includes(cpu)) throw invalid('Cannot define CPU multiple times');
      cpus.push(cpu);
      // No host has more; a range such as 0-4000000000 must not eat the daemon's memory.
      if (cpus.length > 8192) throw invalid('Invalid CPU limit syntax');
    }
  }
  return cpus;
}

/** A number of CPUs, or a set of them. */
export function isCpuLimit(value: string): void {
  if (!/^\d+$/.test(value)) parseCpuSet(value);
}

/** `50%` (share under load) or `25ms/100ms` (hard). */
export function isCpuAllowance(value: string): void {
  if (value.endsWith('%')) {
    parseInteger(value.slice(0, -1));
    return;
  }
  const slash = value.indexOf('/');
  if (slash < 0) throw invalid(`Invalid allowance: ${value}`);
  for (const part of [value.slice(0, slash), value.slice(slash + 1)]) parseInteger(part.endsWith('ms') ? part.slice(0, -2) : part);
}

/** Any YAML document. */
export function isYaml(value: string): void {
  try {
    parse(value, { logLevel: 'error' });
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw invalid(`yaml: line ${error.linePos?.[0].line ?? 1}: ${error.message.split(' at line')[0]}`, { cause: error });
  }
}

/** Cloud-init's user data: YAML when it says it is, any text otherwise. */
export function isCloudInitUserData(value: string): void {
  if (value.split('\n', 1)[0]?.trim() === '#cloud-config') isYaml(value);
}

const rawLxcForbidden: Readonly<Record<string, string>> = {
  'lxc.logfile': 'lxc.logfile', 'lxc.log.file': 'lxc.logfile',
  'lxc.syslog': 'lxc.log.syslog', 'lxc.log.syslog': 'lxc.log.syslog',
  'lxc.ephemeral': 'lxc.ephemeral',
};

/** Lines of liblxc configuration that may not take over what the daemon itself decides. */
export function isRawLxc(value: string): void {
  for (const line of value.split('\n')) {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) continue;
    const equals = text.indexOf('=');
    if (equals < 0) throw invalid(`Invalid raw.lxc line: ${line}`);
    const name = text.slice(0, equals).trim().toLowerCase();
    const forbidden = rawLxcForbidden[name];
    if (forbidden !== undefined) throw invalid(`Setting ${forbidden} is not allowed`);
    if (name.startsWith('lxc.net.') && !/^lxc\.net\.[^.]+\.(ipv4|ipv6)\.(address|gateway)$/.test(name)) {
      throw invalid('Only interface-specific ipv4/ipv6 lxc.net. keys are allowed');
    }
  }
}

/** File mode in octal. */
export function isOctalMode(value: string): void {
  if (!/^[0-7]+$/.test(value)) throw invalid('Invalid value for an octal file mode');
}

export function isUnixId(value: string): void {
  if (!/^\d+$/.test(value) || Number(value) > 0xffff_ffff) throw invalid('Invalid value for a UNIX ID');
}

export function isUnixDeviceNumber(value: string): void {
  if (!/^\d+$/.test(value) || Number(value) > 0xffff_ffff) throw invalid('Invalid value for a UNIX device number');
}

/** USB and PCI vendor and product ids. */
export function isHexId(value: string): void {
  if (!/^[0-9a-f]{4}$/.test(value)) throw invalid('Invalid value, must be four lower case hex characters');
}

export function isPciAddress(value: string): void {
  if (!/^([0-9a-fA-F]{4}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-9a-fA-F]$/.test(value)) throw invalid('Invalid PCI address');
}

/** Refuses the empty text; used for options that must be there. */
export function isNotEmpty(value: string): void {
  if (value === '') throw invalid('Required value');
}
