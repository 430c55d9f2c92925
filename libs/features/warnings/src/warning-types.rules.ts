/** What is known of a type of warnings. */
interface WarningType {
  readonly name: string;
  readonly severity: 'low' | 'moderate' | 'high';
}

const low = (name: string): WarningType => ({ name, severity: 'low' });
const high = (name: string): WarningType => ({ name, severity: 'high' });

/** Types by number. Numbers, names and severities up to 99 are LXD's (`GET /1.0/warnings` of 5.0.2), those above are Roost's own. */
const types = new Map<number, WarningType>([
  [0, low('Undefined warning')],
  [1, low("Couldn't find the CGroup blkio")],
  [2, low("Couldn't find the CGroup blkio.weight")],
  [3, low("Couldn't find the CGroup CPU controller")],
  [4, low("Couldn't find the CGroup CPUset controller")],
  [5, low("Couldn't find the CGroup CPUacct controller")],
  [6, low("Couldn't find the CGroup devices controller")],
  [7, low("Couldn't find the CGroup freezer controller")],
  [8, low("Couldn't find the CGroup hugetlb controller")],
  [9, low("Couldn't find the CGroup memory controller")],
  [10, low("Couldn't find the CGroup network priority controller")],
  [11, low("Couldn't find the CGroup pids controller")],
  [12, low("Couldn't find the CGroup memory swap accounting")],
  [13, low('Time skew detected between leader and local')],
  [14, low('AppArmor support has been disabled')],
  [15, low('Missing virtiofsd')],
  [16, low('Unable to connect to MAAS')],
  [17, low('Skipping AppArmor for dnsmasq due to raw.dnsmasq being set')],
  [18, low("IPv6 networks with a prefix larger than 64 aren't properly supported by dnsmasq")],
  [19, low('Proxy bridge netfilter not enabled')],
  [20, high('Network unavailable')],
  [21, low('Offline cluster member')],
  [22, low('Failed to autostart instance')],
  [23, low('Instance type not operational')],
  [24, high('Storage pool unavailable')],
  [1000, { name: 'Operation of an unknown kind', severity: 'moderate' }],
  [1001, { name: 'Undo of an operation failed', severity: 'moderate' }],
  [1002, { name: 'Database member unavailable', severity: 'moderate' }],
  [1003, high('Database copies differ')],
]);

/** Names that may be written; see `warningTypeCode`. */
export type WarningTypeName =
  | 'Time skew detected between leader and local' | 'Network unavailable' | 'Offline cluster member' | 'Failed to autostart instance' | 'Storage pool unavailable'
  | 'Database member unavailable' | 'Database copies differ';

const statuses = ['', 'new', 'acknowledged', 'resolved'] as const;

export function warningTypeName(code: number): string {
  return types.get(code)?.name ?? `Warning ${code}`;
}

export function warningSeverity(code: number): WarningType['severity'] {
  return types.get(code)?.severity ?? 'moderate';
}

export function warningTypeCode(name: WarningTypeName): number {
  for (const [code, type] of types) if (type.name === name) return code;
  return 0;
}

export function isWarningType(code: number): boolean {
  return types.has(code);
}

/** `new`, `acknowledged` or `resolved`; the database keeps 1, 2, 3. */
export function warningStatusName(code: number): string {
  return statuses[code] ?? 'new';
}

/** Null for a word that is no status a client may set. */
export function warningStatusCode(name: string): number | null {
  const code = statuses.indexOf(name as (typeof statuses)[number]);
  return code === 1 || code === 2 ? code : null;
}
