import { existsSync, readFileSync } from 'node:fs';
import type { Ip } from '#host';
import { internal } from '#kernel';

type Config = Readonly<Record<string, string>>;

/** VLANs of a bridged NIC's port: that of untagged traffic (`none` for none, empty for the bridge's own), and those whose traffic keeps its tags. */
export interface PortVlans {
  readonly untagged: string;
  readonly tagged: readonly string[];
}

/** Null where a NIC's configuration says nothing of VLANs. */
export function portVlansOf(config: Config): PortVlans | null {
  const tagged = (config['vlan.tagged'] ?? '').split(',').map((text) => text.trim()).filter((text) => text !== '');
  const untagged = config['vlan'] ?? '';
  return untagged === '' && tagged.length === 0 ? null : { untagged, tagged };
}

/** @throws in LXD's words when the bridge does not tell VLANs apart, or the kernel has no such bridges. */
export function checkFiltering(bridge: string, sysfs = '/sys'): void {
  const status = `${sysfs}/class/net/${bridge}/bridge/vlan_filtering`;
  // The path is the host's, wherever a test has it.
  if (!existsSync(status)) throw internal(`Failed getting bridge VLAN status for "${bridge}": open /sys/class/net/${bridge}/bridge/vlan_filtering: no such file or directory`);
  if (readFileSync(status, 'latin1').trim() !== '1') throw internal(`VLAN filtering is not enabled in parent bridge "${bridge}"`);
}

/** A port begins in the bridge's default VLAN, which it leaves when it is to be in another, or in none. */
export async function applyPortVlans(ip: Pick<Ip, 'changePortVlans'>, port: string, bridge: string, { untagged, tagged }: PortVlans, sysfs = '/sys'): Promise<void> {
  checkFiltering(bridge, sysfs);
  const initial = readFileSync(`${sysfs}/class/net/${bridge}/bridge/default_pvid`, 'latin1').trim();
  const leaves = untagged !== '' && untagged !== initial && initial !== '0';
  await ip.changePortVlans([
    ...(leaves ? [`vlan delete dev ${port} vid ${initial} master`] : []),
    ...(untagged === '' || untagged === 'none' || untagged === initial ? [] : [`vlan add dev ${port} vid ${untagged} pvid untagged master`]),
    ...tagged.map((vid) => `vlan add dev ${port} vid ${vid} master`),
  ]);
}
