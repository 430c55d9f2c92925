import { existsSync, readFileSync } from 'node:fs';
import { internal, isTrue } from '#kernel';
import type { NvidiaCards } from '#host';
import type { DeviceSpec, InstanceSpec } from '#ports';
import { DeviceHandler, type DeviceParts } from './device-handler.js';
import { selectedCards, type GpuRoots } from './gpu-nodes.js';

/** Whether a device is a slice of a GPU. */
export function isSlice({ config }: DeviceSpec): boolean {
  return config['type'] === 'gpu' && config['gputype'] === 'mig';
}

/** Slices of NVIDIA's GPUs (MIG): named to LXC's hook, which makes them usable at the start, and only then. */
export class GpuSlices extends DeviceHandler {
  override readonly types = ['gpu-mig'];

  constructor(private readonly nvidia: NvidiaCards, private readonly roots: GpuRoots) { super(); }

  override canAdd(): boolean {
    return false;
  }

  override async prepare(spec: InstanceSpec, device: DeviceSpec): Promise<DeviceParts> {
    if (!isTrue(spec.config['nvidia.runtime'])) throw internal('nvidia.runtime must be set to true for MIG GPUs to work');
    return { files: [], rules: [], nvidia: [await this.nameOf(device)] };
  }

  /** None comes while a container runs, and one that goes stays until it ends: its files are part of the container's mounts. */
  override async add(): Promise<void> {}
  override async remove(): Promise<void> {}
  override async adopt(): Promise<void> {}
  override async forget(): Promise<void> {}

  private async nameOf({ config }: DeviceSpec): Promise<string> {
    const cards = selectedCards(config, this.roots);
    if (cards.length > 1) throw internal('More than one GPU matched the MIG device');
    const card = cards[0];
    if (card === undefined) throw internal('Failed to detect requested GPU device');
    if (card.nvidia === null) throw internal("Card isn't a NVIDIA GPU or driver isn't properly setup");
    const uuid = config['mig.uuid'] ?? '';
    if (uuid !== '') return uuid.startsWith('MIG-') ? uuid : `MIG-${uuid}`;
    const [gi, ci] = [config['mig.gi'] ?? '', config['mig.ci'] ?? ''];
    if (!existsSync(`${this.roots.proc}/driver/nvidia/capabilities/gpu${card.nvidia}/mig/gi${gi}/ci${ci}`)) throw internal(`MIG device gi=${gi} ci=${ci} doesn't exist on GPU ${card.nvidia}`);
    return `MIG-${await this.uuidOf(card.pci)}/${gi}/${ci}`;
  }

  /** The driver says it once somebody has used the card; NVIDIA's tool asks the card. */
  private async uuidOf(pci: string): Promise<string> {
    const information = `${this.roots.proc}/driver/nvidia/gpus/${pci}/information`;
    const known = existsSync(information) ? /^GPU UUID:\s*(GPU-[0-9a-f-]+)\s*$/m.exec(readFileSync(information, 'latin1'))?.[1] : undefined;
    const uuid = known ?? (await this.nvidia.list()).find((card) => card.pci === pci)?.uuid;
    if (uuid === undefined) throw internal("Card isn't a NVIDIA GPU or driver isn't properly setup");
    return uuid;
  }
}
