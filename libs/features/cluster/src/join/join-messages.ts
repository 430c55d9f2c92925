import { z } from 'zod';
import type { Admission } from '#platform/database';

/** What a joining server says of itself. `POST /internal/cluster/accept`, over TLS with the certificate it names. */
export const acceptRequest = z.object({
  name: z.string(),
  /** `host:port` of its cluster listener. */
  address: z.string(),
  architecture: z.string(),
  /** PEM of its server.crt. */
  certificate: z.string(),
  /** Newest schema level it knows. */
  level: z.int(),
  apiExtensions: z.int(),
  /** The trust password, or the text of a token. */
  password: z.string(),
  /** Incarnation of the history it was left behind in: it is a member that comes back. */
  former: z.string().optional(),
});
export type AcceptRequest = z.infer<typeof acceptRequest>;

export interface AcceptReply {
  readonly memberId: number;
  readonly clusterCertificate: string;
  readonly clusterKey: string;
  readonly admission: Admission;
}

/** `POST /internal/cluster/questions`. */
export const questionsRequest = acceptRequest.pick({ name: true, password: true });

/** `POST /internal/cluster/rejoin`, on the unix socket. */
export const rejoinRequest = z.object({ token: z.string() });
