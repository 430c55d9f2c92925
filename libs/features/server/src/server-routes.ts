import { Injectable, Optional, type OnModuleInit } from '@nestjs/common';
import { LocalMember, unavailable } from '#kernel';
import { LocalPeers, Peers } from '#ports';
import { RequestRouter } from '#platform/http';

/** What a server says of itself, and its own keys, are another member's where `target` names one. */
@Injectable()
export class ServerRoutes implements OnModuleInit {
  constructor(private readonly router: RequestRouter, @Optional() private readonly peers: Peers = new LocalPeers(new LocalMember())) {}

  onModuleInit(): void {
    for (const path of ['/1.0', '/1.0/resources']) this.router.register(path, ({ query }) => this.memberNamed(query['target'] ?? ''));
  }

  /** Null for this one, and for names nobody has: the request is refused where it is carried out. */
  private memberNamed(name: string): number | null {
    const member = name === '' ? undefined : this.peers.others().find((other) => other.name === name);
    if (member === undefined) return null;
    if (!this.peers.isOnline(member.id)) throw unavailable('Missing event connection with target cluster member');
    return member.id;
  }
}
