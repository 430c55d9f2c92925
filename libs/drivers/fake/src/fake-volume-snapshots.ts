import { conflict, notFound } from '#kernel';
import { VolumeSnapshots, type CopyVolumeRequest, type VolumeSpec } from '#ports';
import { FakeFaults } from './fake-faults.js';
import type { FakeStorageDriver, FakeVolume } from './fake-storage.driver.js';

/** Snapshots of the volumes a `FakeStorageDriver` keeps in memory. */
export class FakeVolumeSnapshots extends VolumeSnapshots {
  constructor(private readonly storage: FakeStorageDriver, private readonly faults: FakeFaults = new FakeFaults()) { super(); }

  override async createSnapshot(volume: VolumeSpec, snapshot: string): Promise<void> {
    await this.faults.enter('snapshots.createSnapshot');
    const found = this.storage.volume(volume);
    if (!found.snapshots.has(snapshot)) found.snapshots.set(snapshot, found.content);
  }

  override async destroySnapshot(volume: VolumeSpec, snapshot: string): Promise<void> {
    await this.faults.enter('snapshots.destroySnapshot');
    this.find(volume)?.snapshots.delete(snapshot);
  }

  override async renameSnapshot(volume: VolumeSpec, snapshot: string, newName: string): Promise<void> {
    await this.faults.enter('snapshots.renameSnapshot');
    const { snapshots } = this.storage.volume(volume);
    if (!snapshots.has(snapshot)) {
      if (snapshots.has(newName)) return;
      throw notFound(`Snapshot "${snapshot}" of volume "${volume.name}" does not exist in pool "${volume.pool.name}"`);
    }
    if (snapshots.has(newName)) throw conflict(`Snapshot "${newName}" of volume "${volume.name}" exists already in pool "${volume.pool.name}"`);
    snapshots.set(newName, snapshots.get(snapshot)!);
    snapshots.delete(snapshot);
  }

  override async listSnapshots(volume: VolumeSpec): Promise<string[]> {
    await this.faults.enter('snapshots.listSnapshots');
    return [...(this.find(volume)?.snapshots.keys() ?? [])];
  }

  /** As long as their content, where there are quotas. */
  override async measureSnapshots(volume: VolumeSpec, snapshots: readonly string[]): Promise<number[]> {
    await this.faults.enter('snapshots.measureSnapshots');
    return snapshots.map((name) => (volume.pool.driver === 'dir' ? -1 : this.find(volume)?.snapshots.get(name)?.length ?? -1));
  }

  override async restoreSnapshot(volume: VolumeSpec, snapshot: string, token: string): Promise<void> {
    await this.faults.enter('snapshots.restoreSnapshot');
    const found = this.storage.volume(volume);
    if (found.formers.has(token)) return;
    const content = this.contentOf(volume, found, snapshot);
    found.formers.clear();
    found.formers.set(token, found.content);
    found.content = content;
  }

  override async undoRestore(volume: VolumeSpec, token: string): Promise<void> {
    await this.faults.enter('snapshots.undoRestore');
    const found = this.storage.volume(volume);
    found.content = found.formers.get(token) ?? found.content;
    found.formers.delete(token);
  }

  override async finishRestore(volume: VolumeSpec, token: string): Promise<void> {
    await this.faults.enter('snapshots.finishRestore');
    this.storage.volume(volume).formers.delete(token);
  }

  override async copyVolume(request: CopyVolumeRequest): Promise<void> {
    await this.faults.enter('snapshots.copyVolume');
    const source = this.storage.volume(request.source);
    const content = request.sourceSnapshot === '' ? source.content : this.contentOf(request.source, source, request.sourceSnapshot);
    const snapshots = new Map(request.snapshots.map((name) => [name, this.contentOf(request.source, source, name)]));
    this.storage.adopt(request.target, { content, snapshots, sizeBytes: request.sizeBytes });
  }

  override async refreshVolume(request: CopyVolumeRequest, token: string): Promise<void> {
    await this.faults.enter('snapshots.refreshVolume');
    const source = this.storage.volume(request.source);
    const content = request.sourceSnapshot === '' ? source.content : this.contentOf(request.source, source, request.sourceSnapshot);
    this.storage.refresh(request.target, { content, snapshots: request.snapshots.map((name) => [name, this.contentOf(request.source, source, name)]) }, token);
  }

  private contentOf(volume: VolumeSpec, found: FakeVolume, snapshot: string): string {
    const content = found.snapshots.get(snapshot);
    if (content === undefined) throw notFound(`Snapshot "${snapshot}" of volume "${volume.name}" does not exist in pool "${volume.pool.name}"`);
    return content;
  }

  private find(volume: VolumeSpec): FakeVolume | undefined {
    return this.storage.pools.get(volume.pool.name)?.volumes.get(`${volume.kind}/${volume.name}`);
  }
}
