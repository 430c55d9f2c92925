import { Injectable } from '@nestjs/common';
import type { ImagesPost, ImagesPostSource } from '#api-types';
import { internal, type RequestContext } from '#kernel';
import type { OperationSource } from '#platform/http';

export type InstanceSourceKind = 'instance' | 'container' | 'virtual-machine' | 'snapshot';

/** Makes an image of what `source` names, as an operation of whoever has it. Refusals that LXD makes at once are thrown. */
export type ImagePublisher = (ctx: RequestContext, request: ImagesPost, source: ImagesPostSource) => Promise<OperationSource>;

/** `POST /1.0/images` from an instance: images know nothing of instances, so who does registers itself. */
@Injectable()
export class ImagePublishers {
  private publisher: ImagePublisher | null = null;

  register(publisher: ImagePublisher): void {
    this.publisher = publisher;
  }

  publish(ctx: RequestContext, request: ImagesPost, source: ImagesPostSource): Promise<OperationSource> {
    if (this.publisher === null) throw internal('Invalid images JSON');
    return this.publisher(ctx, request, source);
  }
}
