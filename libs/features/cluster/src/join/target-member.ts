import type { Readable } from 'node:stream';
import { ApiClient } from '#client';
import { AppError, wrap } from '#kernel';
import type { ServerCertificate } from '#platform/auth';
import { parseListenAddress, formatListenAddress } from '#platform/http';
import type { AcceptReply, AcceptRequest } from './join-messages.js';

/** The member of the cluster that a joining server talks to, by HTTPS and pinned to the cluster's certificate. */
export class TargetMember {
  private readonly api: ApiClient;

  constructor(
    private readonly address: string,
    clusterCertificate: string,
    client: ServerCertificate,
  ) {
    const url = `https://${formatListenAddress(parseListenAddress(address))}`;
    this.api = new ApiClient({ url, certificate: clusterCertificate, client });
  }

  /** @throws with LXD's words for each way in which it may fail. */
  async accept(request: AcceptRequest): Promise<AcceptReply> {
    await this.api.get('/1.0').catch((error: unknown) => {
      throw wrap(error, `Failed to setup cluster trust: Failed to connect to target cluster node "${this.address}"`);
    });
    try {
      const { metadata } = await this.api.call<AcceptReply>('POST', '/internal/cluster/accept', { body: request });
      return metadata;
    } catch (error) {
      throw wrap(error, AppError.is(error, 'forbidden') ? 'Failed to setup cluster trust: Failed to add server cert to cluster' : 'Failed request to add member');
    }
  }

  snapshot(): Promise<Readable> {
    return this.api.download('/internal/cluster/snapshot');
  }

  /** Best effort: a member that cannot be told removes the row by itself. */
  async abandon(): Promise<void> {
    await this.api.call('POST', '/internal/cluster/abandon', { body: {} }).catch(() => undefined);
  }

  close(): void {
    this.api.close();
  }
}
