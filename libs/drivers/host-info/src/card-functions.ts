import { cardFields, readDeviceFacts } from './device-facts.js';
import type { DeviceNames } from './device-names.js';
import type { Sysfs } from './sysfs.js';

/** A graphics or network card in the shape of the API. */
export type Card = Record<string, unknown>;

const pciRoot = '/sys/bus/pci/devices';

/** Whether the PCI device is a virtual function of another. */
export function isVirtualFunction(sys: Sysfs, pciAddress: string): Promise<boolean> {
  return pciAddress === '' ? Promise.resolve(false) : sys.exists(`${pciRoot}/${pciAddress}/physfn`);
}

/** Shows virtual functions inside the card they belong to. */
export async function foldVirtualFunctions(sys: Sysfs, cards: readonly Card[]): Promise<Card[]> {
  const parents = await Promise.all(cards.map((card) => sys.linkName(`${pciRoot}/${String(card['pci_address'] ?? '-')}/physfn`)));
  return Promise.all(cards.filter((_, i) => parents[i] === '').map(async (card) => {
    const address = String(card['pci_address'] ?? '-');
    if (!(await sys.exists(`${pciRoot}/${address}/sriov_numvfs`))) return card;
    const [current, maximum] = await Promise.all([sys.number(`${pciRoot}/${address}/sriov_numvfs`), sys.number(`${pciRoot}/${address}/sriov_totalvfs`)]);
    return { ...card, sriov: { current_vfs: current, maximum_vfs: maximum, vfs: cards.filter((_, i) => parents[i] === address) } };
  }));
}

/** Adds the PCI cards of a class that no driver of that class has claimed. The total counts virtual functions too. */
export async function withUnbound(sys: Sysfs, names: DeviceNames, wantedClass: number, cards: readonly Card[]): Promise<Record<string, unknown>> {
  const all = [...cards];
  const seen = new Set([...cards, ...cards.flatMap(virtualFunctions)].flatMap((card) => pciAddressOf(card)));
  for (const address of await sys.names(pciRoot)) {
    if (seen.has(address) || (await sys.number(`${pciRoot}/${address}/class`)) >> 16 !== wantedClass) continue;
    all.push(cardFields(await readDeviceFacts(sys, `${pciRoot}/${address}`, names)));
  }
  return { cards: all, total: all.length + all.flatMap(virtualFunctions).length };
}

function pciAddressOf(card: Card): string[] {
  const address = card['pci_address'];
  return typeof address === 'string' ? [address] : [];
}

function virtualFunctions(card: Card): Card[] {
  return (card['sriov'] as { vfs: Card[] } | undefined)?.vfs ?? [];
}
