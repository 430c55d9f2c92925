import { z } from 'zod';

const port = z.number().int().min(1).max(65_535);
const incarnation = z.string().regex(/^[0-9a-zA-Z-]+$/);

/** What the leader asks of the member that is to vote. Checked where they arrive. */
export const prepareVoterRequest = z.object({ incarnation, version: z.string() });
export interface PreparedVoter {
  readonly peerPort: number;
  readonly clientPort: number;
}
export const startVoterRequest = z.object({ incarnation, peerPort: port, clientPort: port, initialCluster: z.record(z.string(), z.string()) });
export const stopVoterRequest = z.object({ incarnation });

/** What a member asks of the leader. */
export const memberRequest = z.object({ memberId: z.number().int().positive() });

export type PrepareVoterRequest = z.infer<typeof prepareVoterRequest>;
export type StartVoterRequest = z.infer<typeof startVoterRequest>;
export type StopVoterRequest = z.infer<typeof stopVoterRequest>;
export type MemberRequest = z.infer<typeof memberRequest>;
