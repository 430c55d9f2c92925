import { isIP } from 'node:net';
import { z } from 'zod';
import type { WitnessAdmission } from '#platform/database';

const port = z.int().min(1).max(65_535);

/** `POST /internal/cluster/witnesses`, on the unix socket. */
export const addWitnessRequest = z.object({ name: z.string() });
export type AddWitnessRequest = z.infer<typeof addWitnessRequest>;

/** What a machine says of itself that is to be a witness. `POST /internal/cluster/accept-witness`, over TLS; the token vouches for it. */
export const acceptWitnessRequest = z.object({
  token: z.string(),
  /** Name or address the members reach it under. */
  host: z.string().refine((text) => isIP(text) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(text), 'Invalid host'),
  peerPort: port,
  clientPort: port,
});
export type AcceptWitnessRequest = z.infer<typeof acceptWitnessRequest>;

export interface AcceptWitnessReply {
  readonly id: number;
  readonly admission: WitnessAdmission;
}

/** A witness as `cluster witness list` shows it. */
export interface WitnessView {
  readonly id: number;
  readonly name: string;
  /** `host:port` its etcd's peers dial. */
  readonly address: string;
  readonly online: boolean;
  /** Its part in the log: empty while it does not vote. */
  readonly voter: '' | 'learner' | 'voter';
}
