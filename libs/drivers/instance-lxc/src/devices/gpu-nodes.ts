import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { internal } from '#kernel';
import type { DeviceSpec } from '#ports';
import { deviceNumber, type DeviceNode } from './device-nodes.js';
import { ownership } from './unix-nodes.rules.js';

type Config = Readonly<Record<string, string>>;

export interface GpuRoots {
  readonly sysfs: string;
  readonly dev: string;
  readonly proc: string;
}

/** One graphics card of the host. */
export interface Card {
  /** DRM card number; -1 for one that only NVIDIA's own driver knows. */
  readonly id: number;
  readonly pci: string;
  readonly vendor: string;
  readonly product: string;
  /** `card0`, `renderD128` with `226:0`. */
  readonly drm: readonly { readonly name: string; readonly dev: string }[];
  /** Minor number of NVIDIA's own node. */
  readonly nvidia: number | null;
}

const nvidiaMajor = 195;

/**
 * Nodes of a physical GPU: those of DRM below `/dev/dri`, NVIDIA's own for its cards, and once those that all of NVIDIA's cards share.
 * @throws in LXD's words when no card of the host is selected.
 */
export function gpuNodes({ config }: DeviceSpec, roots: GpuRoots): DeviceNode[] {
  const cards = selectedCards(config, roots);
  const nodes = cards.flatMap((card) => cardNodes(card, config));
  if (nodes.length === 0) throw internal('Failed to detect requested GPU device');
  const shared = cards.some(({ nvidia }) => nvidia !== null) ? nvidiaSharedNodes(roots.dev, config) : [];
  return [...nodes, ...shared];
}

/** Cards a device asks for. @throws in LXD's words when it names an address at which the host has nothing. */
export function selectedCards(config: Config, roots: GpuRoots): Card[] {
  const address = pciAddress(config['pci'] ?? '');
  if (address !== '' && !existsSync(`${roots.sysfs}/bus/pci/devices/${address}`)) throw internal(`Invalid PCI address (no device found): ${address}`);
  return listCards(roots).filter((card) => isSelected(card, config));
}

function isSelected({ id, pci, vendor, product }: Card, config: Config): boolean {
  const fits = (option: string, value: string): boolean => (config[option] ?? '') === '' || config[option]!.toLowerCase() === value.toLowerCase();
  const address = pciAddress(config['pci'] ?? '');
  return fits('vendorid', vendor) && fits('productid', product) && fits('id', `${id}`) && (address === '' || pci === address);
}

/** With the domain, which may be left out. */
function pciAddress(text: string): string {
  const address = text.toLowerCase();
  return address.split(':').length === 2 ? `0000:${address}` : address;
}

function cardNodes({ drm, nvidia }: Card, config: Config): DeviceNode[] {
  const nodes = drm.flatMap(({ name, dev }): DeviceNode[] => {
    const [major = '', minor = ''] = dev.split(':');
    return minor === '' ? [] : [{ kind: 'c', major: Number(major), minor: Number(minor), path: `/dev/dri/${name}`, ...ownership(config) }];
  });
  return nvidia === null ? nodes : [...nodes, { kind: 'c', major: nvidiaMajor, minor: nvidia, path: `/dev/nvidia${nvidia}`, ...ownership(config) }];
}

function nvidiaSharedNodes(dev: string, config: Config): DeviceNode[] {
  return names(dev).filter((name) => name.startsWith('nvidia') && !/^nvidia\d+$/.test(name)).flatMap((name): DeviceNode[] => {
    if (!statSync(`${dev}/${name}`).isCharacterDevice()) return [];
    const { rdev } = deviceNumber(`${dev}/${name}`);
    return [{ kind: 'c', ...rdev, path: `/dev/${name}`, ...ownership(config) }];
  });
}

function listCards(roots: GpuRoots): Card[] {
  const known = names(`${roots.sysfs}/class/drm`).filter((name) => /^card\d+$/.test(name)).flatMap((name): Card[] => {
    const device = real(`${roots.sysfs}/class/drm/${name}/device`);
    if (device === null) return [];
    const drm = names(`${device}/drm`).filter((node) => /^(card|renderD|controlD)\d+$/.test(node)).map((node) => ({ name: node, dev: text(`${device}/drm/${node}/dev`) }));
    return [{ id: Number(name.slice('card'.length)), ...pciFacts(device), drm, nvidia: nvidiaMinor(roots, basename(device)) }];
  });
  // NVIDIA's driver may run without DRM.
  const others = names(`${roots.proc}/driver/nvidia/gpus`).filter((pci) => !known.some((card) => card.pci === pci)).map((pci): Card => (
    { id: -1, ...pciFacts(`${roots.sysfs}/bus/pci/devices/${pci}`), drm: [], nvidia: nvidiaMinor(roots, pci) }));
  return [...known, ...others];
}

function pciFacts(device: string): Pick<Card, 'pci' | 'vendor' | 'product'> {
  const id = (file: string): string => text(`${device}/${file}`).replace(/^0x/, '');
  return { pci: basename(device), vendor: id('vendor'), product: id('device') };
}

function nvidiaMinor({ proc }: GpuRoots, pci: string): number | null {
  const minor = /^Device Minor:\s*(\d+)/m.exec(text(`${proc}/driver/nvidia/gpus/${pci}/information`))?.[1];
  return minor === undefined ? null : Number(minor);
}

function names(path: string): string[] {
  return existsSync(path) ? readdirSync(path).sort() : [];
}

function text(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return ''; // This driver does not tell.
  }
}

function real(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null;
  }
}
