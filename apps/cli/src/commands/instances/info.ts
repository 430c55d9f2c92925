import { readText } from '#client';
import type { Invocation, Run } from '../../invocation.js';
import { asTable } from '../../output/table.js';
import { isUnset, localMinute } from '../../output/times.js';
import { bytesIec, bytesSi } from '../../output/units.js';
import { url, type Server } from '../../server.js';
import type { FullInstance, InstanceStateView } from './list-columns.js';

export const info: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name !== '') return instanceInfo(invocation, server, name);
  if (invocation.flags.bool('resources')) {
    const { showResources } = await import('./resources.js');
    return showResources(invocation, server);
  }
  const target = invocation.flags.text('target');
  const value = target === '' ? server.info : await server.get<object>(`/1.0?target=${encodeURIComponent(target)}`);
  invocation.printYaml(withLowerKeys(value));
};

/** The drivers' fields have capitals on the wire only. */
function withLowerKeys(info: object): object {
  const { environment } = info as { environment?: { storage_supported_drivers?: Record<string, unknown>[] } };
  const drivers = environment?.storage_supported_drivers?.map((driver) => Object.fromEntries(Object.entries(driver).map(([key, value]) => [key.toLowerCase(), value])));
  return drivers === undefined ? info : { ...info, environment: { ...environment, storage_supported_drivers: drivers } };
}

async function instanceInfo(invocation: Invocation, server: Server, name: string): Promise<void> {
  const one = await server.get<FullInstance & { backups: { name: string; created_at: string; expires_at: string; instance_only: boolean; optimized_storage: boolean }[] | null }>(url(['instances', name], { recursion: 1 }));
  const lines = [`Name: ${one.name}`];
  if (one.description !== '') lines.push(`Description: ${one.description}`);
  lines.push(`Status: ${one.status.toUpperCase()}`, `Type: ${one.type}${one.ephemeral ? ' (ephemeral)' : ''}`, `Architecture: ${one.architecture}`);
  if (one.location !== '' && server.clustered) lines.push(`Location: ${one.location}`);
  if (one.state !== null && one.state.pid !== 0) lines.push(`PID: ${one.state.pid}`);
  if (!isUnset(one.created_at)) lines.push(`Created: ${localMinute(one.created_at)}`);
  if (!isUnset(one.last_used_at)) lines.push(`Last Used: ${localMinute(one.last_used_at)}`);
  if (one.state !== null && one.state.pid !== 0) lines.push('', 'Resources:', ...resources(one.state));
  const snapshots = one.snapshots ?? [];
  if (snapshots.length > 0) {
    const rows = snapshots.map((snapshot) => [snapshot.name.split('/').at(-1)!, isUnset(snapshot.created_at) ? '' : localMinute(snapshot.created_at), isUnset(snapshot.expires_at) ? '' : localMinute(snapshot.expires_at), snapshot.stateful ? 'YES' : 'NO']);
    lines.push('', 'Snapshots:', asTable(['Name', 'Taken at', 'Expires at', 'Stateful'], rows).trimEnd());
  }
  const backups = one.backups ?? [];
  if (backups.length > 0) {
    const rows = backups.map((backup) => [backup.name.split('/').at(-1)!, isUnset(backup.created_at) ? '' : localMinute(backup.created_at), isUnset(backup.expires_at) ? '' : localMinute(backup.expires_at), backup.instance_only ? 'YES' : 'NO', backup.optimized_storage ? 'YES' : 'NO']);
    lines.push('', 'Backups:', asTable(['Name', 'Taken at', 'Expires at', 'Instance Only', 'Optimized Storage'], rows).trimEnd());
  }
  if (invocation.flags.bool('show-log')) {
    const file = one.type === 'virtual-machine' ? 'qemu.log' : 'lxc.log';
    const log = await readText(await server.api.download(url(['instances', name, 'logs', file])));
    lines.push('', 'Log:', '', log);
  }
  invocation.print(lines.join('\n'));
}

/** What a running instance uses. */
function resources(state: InstanceStateView): string[] {
  const lines = [`  Processes: ${state.processes}`];
  const section = (title: string, rows: readonly string[]): void => {
    if (rows.length > 0) lines.push(`  ${title}:`, ...rows.map((row) => `    ${row}`));
  };
  section('Disk usage', Object.entries(state.disk ?? {}).filter(([, disk]) => disk.usage !== 0).map(([name, disk]) => `${name}: ${bytesIec(disk.usage)}`));
  section('CPU usage', state.cpu.usage === 0 ? [] : [`CPU usage (in seconds): ${Math.floor(state.cpu.usage / 1e9)}`]);
  const { memory } = state;
  section('Memory usage', [
    ...(memory.usage === 0 ? [] : [`Memory (current): ${bytesIec(memory.usage)}`]), ...(memory.usage_peak === 0 ? [] : [`Memory (peak): ${bytesIec(memory.usage_peak)}`]),
    ...(memory.swap_usage === 0 ? [] : [`Swap (current): ${bytesIec(memory.swap_usage)}`]), ...(memory.swap_usage_peak === 0 ? [] : [`Swap (peak): ${bytesIec(memory.swap_usage_peak)}`]),
  ]);
  section('Network usage', Object.entries(state.network ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([name, network]) => [
    `${name}:`, `  Type: ${network.type}`, `  State: ${network.state.toUpperCase()}`, ...(network.host_name === '' ? [] : [`  Host interface: ${network.host_name}`]),
    ...(network.hwaddr === '' ? [] : [`  MAC address: ${network.hwaddr}`]), ...(network.mtu === 0 ? [] : [`  MTU: ${network.mtu}`]),
    `  Bytes received: ${bytesSi(network.counters.bytes_received)}`, `  Bytes sent: ${bytesSi(network.counters.bytes_sent)}`, `  Packets received: ${network.counters.packets_received}`, `  Packets sent: ${network.counters.packets_sent}`,
    '  IP addresses:', ...(network.addresses ?? []).map((one) => `    ${`${one.family}:`.padEnd(6)} ${one.address}/${one.netmask} (${one.scope})`),
  ]));
  return lines;
}
