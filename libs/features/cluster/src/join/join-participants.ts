import { Injectable } from '@nestjs/common';
import type { RequestContext } from '#kernel';
import type { ClusterMemberConfigKey } from '#api-types';

/** What a feature does on the host when its member joins a cluster or leaves it. Each call may run twice, after a kill in the middle. */
export interface JoinParticipant {
  /** Example: storage */
  readonly name: string;
  /** Lower comes first when joining and last when leaving: pools 10, networks 20, images 30, instances 40. */
  readonly order: number;
  /**
   * On a server that stands alone and is about to join: removes what it holds, rows and host. There are no instances and no custom volumes, the
   * caller has seen to that.
   */
  clear(ctx: RequestContext): Promise<void>;
  /**
   * The database is the cluster's by now and `LocalMember` says who this is: makes this member's part, rows and host, by what was given for it.
   * Throws to refuse; what it had made by then is gone again.
   */
  join(ctx: RequestContext, memberConfig: readonly ClusterMemberConfigKey[]): Promise<void>;
  /** Before this member leaves: takes its part off the host. Rows go afterwards, with the member's. */
  leave(ctx: RequestContext): Promise<void>;
}

/** Who takes part when this member joins or leaves. Features register themselves in their constructors. */
@Injectable()
export class JoinParticipants {
  private readonly participants: JoinParticipant[] = [];

  register(participant: JoinParticipant): void {
    this.participants.push(participant);
    this.participants.sort((a, b) => a.order - b.order);
  }

  async clear(ctx: RequestContext): Promise<void> {
    for (const participant of this.participants.toReversed()) await participant.clear(ctx);
  }

  /** All, or none: those that were through are taken back when one refuses. */
  async join(ctx: RequestContext, memberConfig: readonly ClusterMemberConfigKey[]): Promise<void> {
    const done: JoinParticipant[] = [];
    try {
      for (const participant of this.participants) {
        await participant.join(ctx, memberConfig);
        done.push(participant);
      }
    } catch (error) {
      for (const participant of done.toReversed()) await participant.leave(ctx);
      throw error;
    }
  }

  async leave(ctx: RequestContext): Promise<void> {
    for (const participant of this.participants.toReversed()) await participant.leave(ctx);
  }
}
