import type { RequestContext } from '#kernel';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceCatalog } from '../data/instance.catalog.js';
import { MemberVolatileStore } from '../data/member-volatile.store.js';
import { InstanceMoves } from '../instance-moves.js';
import { InstanceSpecs } from '../instance-specs.js';
import { hostName } from '../instance-urls.js';
import type { FakeMember } from './fake-member.js';

/** Moves between fake hosts: the row, and what the drivers know. */
export class FakeMoves extends InstanceMoves {
  /** The next move fails, with nothing moved. */
  failNext = false;

  constructor(private readonly member: (id: number) => FakeMember) {
    super();
  }

  override async move(ctx: RequestContext, { row }: ExpandedInstance, targetMember: number): Promise<void> {
    if (this.failNext) {
      this.failNext = false;
      throw new TypeError('The wire broke');
    }
    const [source, target] = [this.member(row.memberId), this.member(targetMember)];
    const volume = source.get(InstanceSpecs).build(source.get(InstanceCatalog).findById(row.id)!).rootVolume;
    await target.host.storage.createVolume({ volume, imageFingerprint: '', sizeBytes: 0 });
    await source.transactions.run(ctx, (tx) => {
      tx.sql.run('UPDATE instances SET node_id = ?, placement_epoch = placement_epoch + 1 WHERE id = ?', targetMember, row.id);
      tx.sql.run("UPDATE storage_volumes SET node_id = ? WHERE name = ? AND type = 'container'", targetMember, row.name);
    });
    source.get(MemberVolatileStore).forget(row.id);
    await source.host.instances.destroyInstance(hostName(row));
    await source.host.storage.destroyVolume(volume);
    await target.database.barrier(ctx);
    const moved = target.get(InstanceCatalog).findById(row.id)!;
    await target.host.instances.createInstance(target.get(InstanceSpecs).build(moved));
  }
}
