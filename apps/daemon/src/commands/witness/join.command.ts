import { connect } from 'node:net';
import { ApiClient, resolveJoinToken } from '#client';
import { conflict, invalid, unavailable, wrap, type Logger } from '#kernel';
import type { AcceptWitnessReply, AcceptWitnessRequest } from '#features/cluster';
import { hostPort, LocalVoter, splitHostPort, type WitnessFiles } from '#platform/raft';
import { EtcdSupervisor } from '../../supervise/etcd-supervisor.js';
import { withPort } from '../init/cluster.js';

const connectMs = 10_000;

export interface WitnessJoinOptions {
  readonly files: WitnessFiles;
  readonly logger: Logger;
  readonly token: string;
  /** `HOST[:PORT]` the members reach this machine under; empty: as the member that is asked sees it. Ports from the given one on (8443), plus one and plus two. */
  readonly address: string;
  /** Forgets what this machine was a witness of before. */
  readonly force: boolean;
}

/** `witness join TOKEN`: makes this machine a witness of the cluster the token is of. Nothing runs yet. */
export async function joinAsWitness({ files, logger, token, address, force }: WitnessJoinOptions, write: (text: string) => void): Promise<void> {
  const former = files.read();
  if (former !== null && !force) throw conflict(`This machine is the witness "${former.name}" already: --force forgets that`);
  const voter = new LocalVoter({ launcher: new EtcdSupervisor(logger), pki: files, logger, directory: files.etcd, events: noEvents });
  await voter.version();
  const member = await resolveJoinToken(token);
  const { host, port } = splitHostPort(withPort(address === '' ? hostPort(await ownAddress(member.address), 8443) : address));
  if (host === '') throw invalid(`Invalid address "${address}"`);
  const ports = await voter.choosePorts({ id: 0, name: member.name, address: hostPort(host, port) });
  const { id, admission } = await accepted(member, { token, host, ...ports });
  const { incarnation, clusterId, endpoints, ca, certificate, key } = admission;
  await files.create({ id, name: member.name, incarnation, clusterId, endpoints: [...endpoints], host, ...ports }, { ca, certificate, key });
  write(`This machine is the witness "${member.name}", reached at ${hostPort(host, ports.peerPort)} and ${hostPort(host, ports.clientPort)}. "roostd witness run" lets it vote.\n`);
}

async function accepted(member: { readonly address: string; readonly certificate: string }, request: AcceptWitnessRequest): Promise<AcceptWitnessReply> {
  const api = new ApiClient({ url: `https://${withPort(member.address)}`, certificate: member.certificate });
  try {
    return await api.post<AcceptWitnessReply>('/internal/cluster/accept-witness', request);
  } catch (error) {
    throw wrap(error, 'The cluster does not take this machine as a witness');
  } finally {
    api.close();
  }
}

/** The address this machine has towards a member. */
function ownAddress(member: string): Promise<string> {
  const { host, port } = splitHostPort(withPort(member));
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ host, port, timeout: connectMs });
  socket.once('connect', () => {
    resolve(socket.localAddress ?? '');
    socket.destroy();
  });
  socket.once('timeout', () => socket.destroy(unavailable(`"${member}" does not answer`)));
  socket.once('error', reject);
  return promise;
}

const noEvents = { onWarning: () => undefined, onRecovered: () => undefined, onDamaged: () => undefined, onRemoved: () => undefined };
