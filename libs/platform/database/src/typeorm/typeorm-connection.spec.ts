import { Column, Entity, JoinColumn, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { internal, internalContext } from '#kernel';
import { isUniqueViolation, openTemporaryDatabase, type OpenDatabase, type RowChange, type Tx } from '../index.js';

@Entity('projects')
class ProjectRow {
  @PrimaryColumn({ type: 'integer' }) id!: number;
  @Column({ type: 'text' }) name!: string;
  @Column({ type: 'simple-json' }) config!: Record<string, string>;
  @OneToMany(() => ProfileRow, (profile) => profile.project) profiles!: Relation<ProfileRow[]>;
}

@Entity('profiles')
class ProfileRow {
  @PrimaryColumn({ type: 'integer' }) id!: number;
  @ManyToOne(() => ProjectRow, (project) => project.profiles) @JoinColumn({ name: 'project_id' }) project!: Relation<ProjectRow>;
  @Column({ type: 'text' }) name!: string;
}

const ctx = internalContext();

describe('TypeORM on our connections', () => {
  let db: OpenDatabase;
  beforeEach(async () => { db = await openTemporaryDatabase(); });
  afterEach(() => db.close());

  const save = (id: number, name: string) => (tx: Tx) => tx.manager.save(ProjectRow, { id, name, config: { 'user.a': 'b' } });
  const names = async () => (await db.database.manager.find(ProjectRow, { order: { id: 'ASC' } })).map(({ name }) => name);

  it('saves, loads and joins', async () => {
    await db.runner.run(ctx, async (tx) => {
      const project = await save(2, 'web')(tx);
      await tx.manager.save(ProfileRow, { id: 2, name: 'p', project });
      await tx.manager.update(ProjectRow, 2, { name: 'renamed' });
    });

    const found = await db.database.manager.findOneOrFail(ProjectRow, { where: { id: 2 }, relations: { profiles: true } });
    expect(found).toMatchObject({ id: 2, name: 'renamed', config: { 'user.a': 'b' }, profiles: [{ id: 2, name: 'p' }] });
  });

  it('is part of the transaction: rolled back with it, one entry for the group, seen by the feed', async () => {
    const changes: RowChange[] = [];
    db.feed.subscribe(['projects'], (more) => changes.push(...more));
    const index = db.database.head.index;
    await Promise.allSettled([
      db.runner.run(ctx, save(2, 'a')),
      db.runner.run(ctx, async (tx) => { await save(3, 'b')(tx); throw internal('no'); }),
      db.runner.run(ctx, save(4, 'c')),
    ]);

    expect(await names()).toEqual(['default', 'a', 'c']);
    expect(changes.map(({ key }) => key[0]).sort()).toEqual([2, 4]);
    expect(db.database.head.index).toBe(index + 1);
  });

  it('nests its own transactions as savepoints', async () => {
    await db.runner.run(ctx, async (tx) => {
      await save(2, 'kept')(tx);
      await tx.manager.transaction(async (inner) => { await inner.save(ProjectRow, { id: 3, name: 'inner', config: {} }); throw internal('no'); }).catch(() => {});
    });

    expect(await names()).toEqual(['default', 'kept']);
  });

  it('names the violated constraint', async () => {
    const error = await db.runner.run(ctx, save(2, 'default')).catch((e: unknown) => e);

    expect(isUniqueViolation(error, 'projects.name')).toBe(true);
  });

  it('refuses writing outside a transaction, and after it', async () => {
    await expect(db.database.manager.save(ProjectRow, { id: 2, name: 'x', config: {} })).rejects.toThrow('TransactionRunner.run');
    let kept: Tx['manager'] | undefined;
    await db.runner.run(ctx, (tx) => { kept = tx.manager; });
    await expect(kept?.find(ProjectRow)).rejects.toThrow('released');

    expect(await names()).toEqual(['default']);
  });
});
