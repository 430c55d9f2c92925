import { Injectable } from '@nestjs/common';
import type { ImageAliasesEntry, ImageAliasesPost } from '#api-types';
import { invalid, notFound, type RequestContext } from '#kernel';
import { Database, TransactionRunner, type Tx } from '#platform/database';
import { EventBus } from '#platform/events';
import { apiUrl, checkEtag } from '#platform/http';
import { aliasApi, ImageAliasesRepository, type AliasRow } from './data/image-aliases.repository.js';
import { ImagesRepository } from './data/images.repository.js';

/** `/1.0/images/aliases`: names for images. Who is not trusted sees those of public images. */
@Injectable()
export class ImageAliasesService {
  constructor(
    private readonly database: Database,
    private readonly transactions: TransactionRunner,
    private readonly images: ImagesRepository,
    private readonly aliases: ImageAliasesRepository,
    private readonly events: EventBus,
  ) {}

  list(ctx: RequestContext): ImageAliasesEntry[] {
    const owner = this.images.imageProject(this.database.read, ctx.project);
    return this.aliases.list(this.database.read, owner.id).map(aliasApi);
  }

  get(ctx: RequestContext, name: string): ImageAliasesEntry {
    const owner = this.images.imageProject(this.database.read, ctx.project);
    const row = this.aliases.find(this.database.read, owner.id, name, !ctx.trusted);
    if (row === undefined) throw notFound('Image alias not found');
    return aliasApi(row);
  }

  async create(ctx: RequestContext, { name, target, description }: ImageAliasesPost): Promise<void> {
    if (name === '' || target === '') throw invalid('name and target are required');
    await this.transactions.run(ctx, (tx) => {
      const owner = this.images.imageProject(tx.sql, ctx.project);
      const image = this.images.byPrefix(tx.sql, owner.id, target);
      this.aliases.insert(tx, owner.id, { name, description, imageId: image.id });
      tx.afterCommit(() => this.announce(ctx, 'image-alias-created', name, { target: image.fingerprint }));
    });
  }

  async replace(ctx: RequestContext, name: string, put: { description: string; target: string }, ifMatch: string | undefined): Promise<void> {
    if (put.target === '') throw invalid('The target field is required');
    await this.change(ctx, name, ifMatch, () => put);
  }

  /** Absent fields stay. `invalid` for a field that is no text. */
  async amend(ctx: RequestContext, name: string, patch: Readonly<Record<string, unknown>>, ifMatch: string | undefined): Promise<void> {
    this.get(ctx, name);
    for (const field of ['target', 'description']) {
      if (patch[field] !== undefined && typeof patch[field] !== 'string') throw invalid(`\`${field}\` was not a string`);
    }
    const { target, description } = patch as { target?: string; description?: string };
    await this.change(ctx, name, ifMatch, (row) => ({ description: description ?? row.description, target: target ?? row.target }));
  }

  async rename(ctx: RequestContext, name: string, newName: string): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      const row = this.find(tx, ctx.project, name);
      this.aliases.rename(tx, row.id, newName);
      tx.afterCommit(() => this.announce(ctx, 'image-alias-renamed', newName, { old_name: name }));
    });
  }

  async delete(ctx: RequestContext, name: string): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      this.aliases.delete(tx, this.find(tx, ctx.project, name).id);
      tx.afterCommit(() => this.announce(ctx, 'image-alias-deleted', name));
    });
  }

  private async change(ctx: RequestContext, name: string, ifMatch: string | undefined, next: (row: AliasRow) => { description: string; target: string }): Promise<void> {
    await this.transactions.run(ctx, (tx) => {
      const owner = this.images.imageProject(tx.sql, ctx.project);
      const row = this.find(tx, ctx.project, name);
      checkEtag(ifMatch, aliasApi(row));
      const { description, target } = next(row);
      const image = this.images.byPrefix(tx.sql, owner.id, target);
      this.aliases.update(tx, row.id, { description, imageId: image.id });
      tx.afterCommit(() => this.announce(ctx, 'image-alias-updated', name, { target: image.fingerprint }));
    });
  }

  private find(tx: Tx, project: string, name: string): AliasRow {
    const row = this.aliases.find(tx.sql, this.images.imageProject(tx.sql, project).id, name);
    if (row === undefined) throw notFound('Image alias not found');
    return row;
  }

  private announce(ctx: RequestContext, action: string, name: string, context?: Record<string, unknown>): void {
    this.events.lifecycle({ action, source: apiUrl(['1.0', 'images', 'aliases', name], ctx.project), project: ctx.project, requestor: ctx.requestor, context });
  }
}
