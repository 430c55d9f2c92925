/** A line of dnsmasq's lease file. */
export interface DnsmasqLease {
  /** Seconds since the epoch; 0 for a lease without end. */
  readonly expiresAt: number;
  readonly hwaddr: string;
  readonly address: string;
  /** Empty where the client sent none. */
  readonly hostname: string;
  /** Client identifier or DUID as hex bytes; `*` for none. */
  readonly clientId: string;
}

/**
 * The lease file: `expiry mac address name client-id` for IPv4; after the `duid` line `expiry iaid address name duid` for IPv6, whose MAC
 * is the tail of a link-layer DUID (types 1 and 3; empty for others).
 */
export function parseLeases(text: string): DnsmasqLease[] {
  const leases: DnsmasqLease[] = [];
  for (const line of text.split('\n')) {
    const [expiry, id, address, name, client] = line.trim().split(/\s+/);
    if (expiry === undefined || !/^\d+$/.test(expiry) || id === undefined || address === undefined) continue;
    const hwaddr = address.includes(':') ? macOfDuid(client ?? '') : id;
    leases.push({ expiresAt: Number(expiry), hwaddr, address, hostname: name === undefined || name === '*' ? '' : name, clientId: client ?? '*' });
  }
  return leases;
}

function macOfDuid(duid: string): string {
  const bytes = duid.toLowerCase().split(':');
  const type = bytes.slice(0, 2).join('');
  return (type === '0001' && bytes.length === 14) || (type === '0003' && bytes.length === 10) ? bytes.slice(-6).join(':') : '';
}
