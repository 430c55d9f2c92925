import { cardFields, readDeviceFacts } from './device-facts.js';
import type { PciNames } from './pci-names.js';
import { present, type Sysfs } from './sysfs.js';

type Card = Record<string, unknown>;

const pciRoot = '/sys/bus/pci/devices';
const displayClass = 0x03;
const networkClass = 0x02;

/** Graphics cards: those with a kernel driver for displays, and PCI cards of that class without one. */
export async function readGpus(sys: Sysfs, names: PciNames): Promise<Record<string, unknown>> {
  const cards = await Promise.all((await sys.names('/sys/class/drm')).filter((name) => /^card\d+$/.test(name)).map((name) => readGpu(sys, name, names)));
  return withUnbound(sys, names, displayClass, await foldVirtualFunctions(sys, cards.filter((card) => card !== null)));
}

async function readGpu(sys: Sysfs, name: string, names: PciNames): Promise<Card | null> {
  const device = `/sys/class/drm/${name}/device`;
  if (!(await sys.exists(device))) return null;
  const nodes = await sys.names(`${device}/drm`);
  const render = nodes.find((node) => node.startsWith('renderD')) ?? '';
  const control = nodes.find((node) => node.startsWith('controlD')) ?? '';
  const numberOf = (node: string): Promise<string> => (node === '' ? Promise.resolve('') : sys.text(`/sys/class/drm/${node}/dev`));
  return {
    ...cardFields(await readDeviceFacts(sys, device, names)),
    drm: {
      id: Number(name.slice(4)), card_name: name, card_device: await numberOf(name),
      ...present({ control_name: control, control_device: await numberOf(control), render_name: render, render_device: await numberOf(render) }),
    },
  };
}

/** Network cards with their ports, and PCI cards of that class without a driver for networks. */
export async function readNetworkCards(sys: Sysfs, names: PciNames): Promise<Record<string, unknown>> {
  const cards = new Map<string, { fields: Card; ports: Card[] }>();
  for (const name of await sys.names('/sys/class/net')) {
    const device = `/sys/class/net/${name}/device`;
    if (!(await sys.exists(device))) continue;
    const facts = await readDeviceFacts(sys, device, names);
    const key = facts.pciAddress || facts.usbAddress || name;
    const card = cards.get(key) ?? { fields: cardFields(facts), ports: [] };
    card.ports.push(await readPort(sys, name));
    cards.set(key, card);
  }
  const found = [...cards.values()].map(({ fields, ports }): Card => ({ ...fields, ports }));
  return withUnbound(sys, names, networkClass, await foldVirtualFunctions(sys, found));
}

async function readPort(sys: Sysfs, name: string): Promise<Card> {
  const directory = `/sys/class/net/${name}`;
  const speed = await sys.number(`${directory}/speed`);
  const duplex = await sys.text(`${directory}/duplex`);
  const infiniband = (await sys.text(`${directory}/type`)) === '32';
  return {
    id: name, ...present({ address: await sys.text(`${directory}/address`) }), port: await sys.number(`${directory}/dev_port`),
    protocol: infiniband ? 'infiniband' : 'ethernet', port_type: 'other', transceiver_type: 'internal', auto_negotiation: false,
    link_detected: (await sys.text(`${directory}/carrier`)) === '1',
    ...(speed > 0 ? { link_speed: speed } : {}), ...(duplex === '' || duplex === 'unknown' ? {} : { link_duplex: duplex }),
  };
}

/** Virtual functions are shown inside the card they belong to. */
async function foldVirtualFunctions(sys: Sysfs, cards: readonly Card[]): Promise<Card[]> {
  const parents = await Promise.all(cards.map((card) => sys.linkName(`${pciRoot}/${String(card['pci_address'] ?? '-')}/physfn`)));
  const top = await Promise.all(cards.filter((_, i) => parents[i] === '').map(async (card) => {
    const address = String(card['pci_address'] ?? '-');
    const maximum = await sys.number(`${pciRoot}/${address}/sriov_totalvfs`);
    if (maximum === 0) return card;
    return { ...card, sriov: { current_vfs: await sys.number(`${pciRoot}/${address}/sriov_numvfs`), maximum_vfs: maximum, vfs: cards.filter((_, i) => parents[i] === address) } };
  }));
  return top;
}

async function withUnbound(sys: Sysfs, names: PciNames, wantedClass: number, cards: readonly Card[]): Promise<Record<string, unknown>> {
  const all = [...cards];
  const seen = new Set(JSON.stringify(cards).match(/[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]/g) ?? []);
  for (const address of await sys.names(pciRoot)) {
    if (seen.has(address) || (await sys.number(`${pciRoot}/${address}/class`)) >> 16 !== wantedClass) continue;
    all.push(cardFields(await readDeviceFacts(sys, `${pciRoot}/${address}`, names)));
  }
  return { cards: all, total: all.length + all.reduce((sum, card) => sum + virtualFunctions(card), 0) };
}

function virtualFunctions(card: Card): number {
  const sriov = card['sriov'] as { vfs: unknown[] } | undefined;
  return sriov?.vfs.length ?? 0;
}
