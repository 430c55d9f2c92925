import { Injectable } from '@nestjs/common';
import { ServerDirectories, type ServerDirectory, type VolumeSpec } from '#ports';
import { AgentChannel } from '#platform/rpc';

/** Directories of the server, placed by the local agent. */
@Injectable()
export class RemoteServerDirectories extends ServerDirectories {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async isEmptyVolume(volume: VolumeSpec): Promise<boolean> {
    return (await this.agent.call<{ empty: boolean }>('Storage', 'isEmptyVolume', { volume })).empty;
  }

  override async placeDirectory(directory: ServerDirectory, volume: VolumeSpec | null): Promise<void> {
    await this.agent.call('Storage', 'placeDirectory', { directory, toVolume: volume !== null, volume: volume ?? undefined });
  }
}
