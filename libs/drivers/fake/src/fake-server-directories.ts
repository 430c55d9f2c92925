import { conflict } from '#kernel';
import { ServerDirectories, type ServerDirectory, type VolumeSpec } from '#ports';
import { FakeFaults } from './fake-faults.js';
import type { FakeStorageDriver } from './fake-storage.driver.js';

/** Remembers where directories lie; a fake volume's content says whether it is empty. */
export class FakeServerDirectories extends ServerDirectories {
  readonly places = new Map<ServerDirectory, string>();

  constructor(private readonly storage: FakeStorageDriver, private readonly faults: FakeFaults = new FakeFaults()) { super(); }

  override async isEmptyVolume(volume: VolumeSpec): Promise<boolean> {
    await this.faults.enter('directories.isEmptyVolume');
    return this.storage.volume(volume).content === '';
  }

  override async placeDirectory(directory: ServerDirectory, volume: VolumeSpec | null): Promise<void> {
    await this.faults.enter('directories.placeDirectory');
    if (volume === null) return void this.places.delete(directory);
    const place = `${volume.pool.name}/${volume.name}`;
    if (this.places.get(directory) === place) return;
    if (this.storage.volume(volume).content !== '') throw conflict(`"${place}" is not empty`);
    this.places.set(directory, place);
  }
}
