import { existsSync } from 'node:fs';
import { internal } from '#kernel';
import { isInstalled, type CommandRunner } from '../command.js';

/** A card as NVIDIA's tool for containers names it. */
export interface NvidiaCard {
  readonly uuid: string;
  /** `0000:01:00.0`. */
  readonly pci: string;
}

export const nvidiaHook = '/usr/share/lxc/hooks/nvidia';
const tool = 'nvidia-container-cli';

/** NVIDIA's cards by `nvidia-container-cli`, which comes with its container toolkit. */
export class NvidiaCards {
  constructor(private readonly commands: CommandRunner) {}

  /** What a container with the runtime of the host's driver needs. @throws in LXD's words. */
  checkRuntime(exists: (path: string) => boolean = existsSync): void {
    if (!exists(nvidiaHook)) throw internal("The NVIDIA LXC hook couldn't be found");
    if (!isInstalled(tool, exists)) throw internal("The NVIDIA container tools couldn't be found");
  }

  async list(): Promise<NvidiaCard[]> {
    return parseCards((await this.commands.run({ argv: [tool, 'info', '--csv'] })).stdout);
  }
}

/** Two tables with a heading each: the driver's, and after an empty line one row for each card. */
export function parseCards(csv: string): NvidiaCard[] {
  const [, ...tables] = csv.trim().split(/\n\s*\n/);
  const [heading = '', ...rows] = tables.join('\n').split('\n');
  const columns = heading.split(',').map((text) => text.trim());
  const [uuid, location] = [columns.indexOf('GPU UUID'), columns.indexOf('Bus Location')];
  return rows.map((row) => row.split(',').map((text) => text.trim())).filter((cells) => cells.length === columns.length)
    .map((cells) => ({ uuid: cells[uuid] ?? '', pci: (cells[location] ?? '').toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, '') }));
}
