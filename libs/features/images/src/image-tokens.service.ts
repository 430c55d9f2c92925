import { Injectable } from '@nestjs/common';
import type { ImageAlias } from '#api-types';
import { randomHex, type RequestContext } from '#kernel';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { ImageLibrary } from './image-library.js';

/** What a token for sending an image decides about the image, instead of its sender. */
export interface PushGrant {
  readonly project: string;
  readonly aliases: readonly ImageAlias[] | null;
  readonly expiresAt: string;
  readonly properties: Readonly<Record<string, string>> | null;
  readonly public: boolean;
}

interface Token {
  readonly secret: string;
  readonly project: string;
  /** Empty for one that lets an image in. */
  readonly fingerprint: string;
  readonly push: PushGrant | null;
  readonly operation: OperationHandle;
}

/** How long a secret lives after its first use for a transfer: a client asks for the image and its files one after the other. */
const usedLifetimeMs = 5000;

/**
 * One-time secrets by which a server that is not trusted may fetch one private image, or send one. Each is a token operation: cancelling
 * it withdraws the secret, and a restart withdraws all.
 */
@Injectable()
export class ImageTokens {
  private readonly tokens = new Map<string, Token>();

  constructor(private readonly operations: OperationsService, private readonly library: ImageLibrary) {}

  /** Lets the holder fetch an image. */
  async forImage(ctx: RequestContext, image: { fingerprint: string; project: string }): Promise<OperationHandle> {
    return this.issue(ctx, image.fingerprint, image.project, {}, null);
  }

  /** Lets the holder send an image; `fingerprint` is what it announced, for display. */
  async forUpload(ctx: RequestContext, fingerprint: string, grant: PushGrant): Promise<OperationHandle> {
    const metadata = { aliases: grant.aliases, expires_at: grant.expiresAt, properties: grant.properties, public: grant.public };
    return this.issue(ctx, fingerprint, grant.project, metadata, grant);
  }

  /** Whether the secret opens this image. */
  opens(secret: string | undefined, image: { fingerprint: string; project: string }): boolean {
    const token = this.find(secret);
    return token !== undefined && token.push === null && token.fingerprint === image.fingerprint && token.project === image.project;
  }

  /** The grant of a secret for sending, or undefined. */
  grantOf(secret: string | undefined): PushGrant | undefined {
    return this.find(secret)?.push ?? undefined;
  }

  /** A transfer began: the secret ends soon. */
  use(ctx: RequestContext, secret: string): void {
    const token = this.find(secret);
    if (token === undefined) return;
    setTimeout(() => void this.operations.cancel(ctx, token.operation.id).catch(() => undefined), usedLifetimeMs).unref();
  }

  private find(secret: string | undefined): Token | undefined {
    return secret === undefined || secret === '' ? undefined : this.tokens.get(secret);
  }

  private async issue(ctx: RequestContext, fingerprint: string, project: string, metadata: Record<string, unknown>, push: PushGrant | null): Promise<OperationHandle> {
    const secret = randomHex(32);
    const operation = await this.operations.runInMemory(ctx, {
      kind: 'image.token', class: 'token', description: 'Image download token', resources: { images: [`/1.0/images/${fingerprint}`] },
      metadata: { ...metadata, secret },
    });
    this.tokens.set(secret, { secret, project, fingerprint, push, operation });
    this.library.announce(ctx, 'image-secret-created', { fingerprint, project });
    void operation.done.then(() => this.tokens.delete(secret));
    return operation;
  }
}
