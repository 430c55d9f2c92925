import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { bytesSi } from '../../output/units.js';
import { url } from '../../server.js';
import { ConfigKind } from '../config-kind.js';
import { pairs } from '../keys.js';

interface NetworkView {
  readonly name: string;
  readonly type: string;
  readonly managed: boolean;
  readonly description: string;
  readonly status: string;
  readonly config: Readonly<Record<string, string>> | null;
  readonly used_by: readonly string[] | null;
}

export const kind = new ConfigKind({
  noun: 'Network', path: ([name]) => ['networks', name!], shape: { config: null, description: '' },
  explanation: 'A network: its configuration and description, as YAML.\nLines that begin with # are ignored; name and type cannot be changed here.',
});

export const create: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  const config = pairs(invocation.args.slice(1));
  const target = invocation.flags.text('target');
  await invocation.run(server, 'POST', url(['networks'], { target }), { config, description: '', name, type: invocation.flags.text('type') });
  if (invocation.flags.bool('quiet')) return;
  if (target !== '') invocation.print(`Network ${name} pending on member ${target}`);
  else invocation.print(`Network ${name} created`);
};

export const list: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name !== '') throw invalid('Filtering isn\'t supported yet');
  const networks = await server.get<NetworkView[]>(url(['networks'], { recursion: 1 }));
  const shown = networks.filter((one) => !['loopback', 'unknown'].includes(one.type));
  const address = (network: NetworkView, key: string): string => network.config?.[key] ?? '';
  const rows = sortRows(shown.map((one) => [
    one.name, one.type, one.managed ? 'YES' : 'NO', address(one, 'ipv4.address'), address(one, 'ipv6.address'), one.description, String(one.used_by?.length ?? 0), one.status.toUpperCase(),
  ]));
  invocation.printList(['NAME', 'TYPE', 'MANAGED', 'IPV4', 'IPV6', 'DESCRIPTION', 'USED BY', 'STATE'], rows, networks);
};

interface Lease { readonly hostname: string; readonly hwaddr: string; readonly address: string; readonly type: string; readonly location: string }

export const listLeases: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing network name');
  const leases = await server.get<Lease[] | null>(url(['networks', name, 'leases']));
  const rows = sortRows((leases ?? []).map((one) => [one.hostname, one.hwaddr, one.address, one.type.toUpperCase(), ...(server.clustered ? [one.location] : [])]));
  invocation.printList(['HOSTNAME', 'MAC ADDRESS', 'IP ADDRESS', 'TYPE', ...(server.clustered ? ['LOCATION'] : [])], rows, leases ?? []);
};

interface NetworkState {
  readonly addresses: readonly { family: string; address: string; netmask: string; scope: string }[] | null;
  readonly counters: { bytes_received: number; bytes_sent: number; packets_received: number; packets_sent: number } | null;
  readonly hwaddr: string;
  readonly mtu: number;
  readonly state: string;
  readonly type: string;
  readonly bond: { mode: string; transmit_policy: string; up_delay: number; down_delay: number; mii_frequency: number; mii_state: string; lower_devices: string[] } | null;
  readonly bridge: { id: string; stp: boolean; forward_delay: number; vlan_default: number; vlan_filtering: boolean; upper_devices: string[] | null } | null;
  readonly vlan: { lower_device: string; vid: number } | null;
  readonly ovn: { chassis: string } | null;
}

export const info: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing network name');
  const target = invocation.flags.text('target');
  if (target !== '' && !server.clustered) throw invalid('To use --target, the destination remote must be a cluster');
  const state = await server.get<NetworkState>(url(['networks', name, 'state'], { target }));
  const lines = [`Name: ${name}`, `MAC address: ${state.hwaddr}`, `MTU: ${state.mtu}`, `State: ${state.state}`, `Type: ${state.type}`];
  const section = (title: string, rows: readonly string[]): void => { lines.push('', `${title}:`, ...rows.map((row) => `  ${row}`)); };
  if ((state.addresses?.length ?? 0) > 0) section('IP addresses', state.addresses!.map((one) => `${one.family}\t${one.address}/${one.netmask} (${one.scope})`));
  const { counters, bond, bridge, vlan, ovn } = state;
  if (counters) {
    section('Network usage', [
      `Bytes received: ${bytesSi(counters.bytes_received)}`, `Bytes sent: ${bytesSi(counters.bytes_sent)}`, `Packets received: ${counters.packets_received}`, `Packets sent: ${counters.packets_sent}`,
    ]);
  }
  if (bond) {
    section('Bond', [
      `Mode: ${bond.mode}`, `Transmit policy: ${bond.transmit_policy}`, `Up delay: ${bond.up_delay}`, `Down delay: ${bond.down_delay}`, `MII Frequency: ${bond.mii_frequency}`,
      `MII state: ${bond.mii_state}`, `Lower devices: ${bond.lower_devices.join(', ')}`,
    ]);
  }
  if (bridge) {
    section('Bridge', [
      `ID: ${bridge.id}`, `STP: ${bridge.stp}`, `Forward delay: ${bridge.forward_delay}`, `Default VLAN ID: ${bridge.vlan_default}`, `VLAN filtering: ${bridge.vlan_filtering}`,
      `Upper devices: ${(bridge.upper_devices ?? []).join(', ')}`,
    ]);
  }
  if (vlan) section('VLAN', [`Lower device: ${vlan.lower_device}`, `VLAN ID: ${vlan.vid}`]);
  if (ovn) section('OVN', [`Chassis: ${ovn.chassis}`]);
  invocation.print(lines.join('\n'));
};
