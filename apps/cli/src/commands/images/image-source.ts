import type { ApiAnswer } from '#client';
import type { Operation } from '#api-types';
import { internal, messageOf } from '#kernel';
import type { Invocation } from '../../invocation.js';
import { url, type Server } from '../../server.js';

export interface ImageView {
  readonly fingerprint: string;
  readonly type: string;
  readonly public: boolean;
  readonly auto_update: boolean;
  readonly filename: string;
  readonly size: number;
  readonly architecture: string;
  readonly properties: Readonly<Record<string, string>> | null;
  readonly profiles: readonly string[] | null;
  readonly aliases: readonly { readonly name: string; readonly description: string }[] | null;
  readonly cached: boolean;
  readonly created_at: string;
  readonly uploaded_at: string;
  readonly expires_at: string;
  readonly last_used_at: string;
  readonly update_source?: { readonly server: string; readonly protocol: string; readonly alias: string; readonly certificate: string };
}

/** Where an image comes from: one description of it for each address it may be fetched from. */
export interface ImageSource {
  readonly candidates: readonly Readonly<Record<string, unknown>>[];
  /** Of instances made of it; empty where only the server will know. */
  readonly type: string;
}

/** The fingerprint an alias or the beginning of one stands for. `type` chooses among aliases of the same name. */
export async function resolveImage(server: Server, name: string, type = ''): Promise<string> {
  const path = url(['images', 'aliases', name]);
  const alias = await server.get<{ target: string; type: string }>(path).catch(() => undefined);
  if (alias !== undefined && (type === '' || alias.type === '' || alias.type === type || alias.type === undefined)) return alias.target;
  return name;
}

export async function fetchImage(server: Server, name: string): Promise<ImageView> {
  return server.get<ImageView>(url(['images', await resolveImage(server, name)]));
}

/** What a server needs to know to make an instance of an image, given as a user names it: `remote:name`. */
export async function imageSource(invocation: Invocation, destination: Server, text: string, type: string): Promise<ImageSource> {
  const { remote, name: named } = invocation.parse(text);
  const name = named === '' ? 'default' : named;
  const known = invocation.config.remote(remote);
  if (known.protocol === 'simplestreams') {
    return { type: '', candidates: [{ type: 'image', certificate: '', alias: name, server: known.addr, protocol: 'simplestreams', mode: 'pull' }] };
  }
  const server = remote === destination.remote ? destination : await imageServer(invocation, remote);
  const fingerprint = await resolveImage(server, name, type);
  const image = await server.get<ImageView>(url(['images', fingerprint]));
  if (remote === destination.remote) return { type: image.type, candidates: [{ type: 'image', certificate: '', fingerprint: image.fingerprint }] };
  return { type: image.type, candidates: await remoteCandidates(invocation, server, remote, image) };
}

/** A server asked for images only: it need not trust us. */
export async function imageServer(invocation: Invocation, remote: string): Promise<Server> {
  const known = invocation.config.remote(remote);
  if (!known.public) return invocation.server(remote);
  const { Server: Connected } = await import('../../server.js');
  return Connected.connect(remote, invocation.api(remote), invocation.projectOf(remote));
}

/** A private image is handed over with a secret that is good once. */
export async function remoteCandidates(invocation: Invocation, server: Server, remote: string, image: ImageView): Promise<Readonly<Record<string, unknown>>[]> {
  let secret = '';
  if (!image.public) {
    const { metadata } = await server.api.call<Operation>('POST', url(['images', image.fingerprint, 'secret']));
    secret = String((metadata.metadata as { secret?: string } | null)?.secret ?? '');
  }
  return addressesOf(invocation, server, remote).map((address) => ({
    type: 'image', mode: 'pull', server: address, protocol: 'lxd', fingerprint: image.fingerprint, certificate: server.info.environment?.certificate ?? '', ...(secret === '' ? {} : { secret }),
  }));
}

/** Where others reach a server: as we do, else as it says. */
export function addressesOf(invocation: Invocation, server: Server, remote: string): string[] {
  const { addr } = invocation.config.remote(remote);
  const said = (server.info.environment?.addresses ?? []).map((address) => `https://${address}`);
  const all = addr.startsWith('unix:') ? said : [addr, ...said.filter((one) => one !== addr)];
  if (all.length === 0) throw internal("The source server isn't listening on the network");
  return all;
}

/** Tries one source after the other, and tells of all when none is good. */
export async function waitForCreation(
  invocation: Invocation, server: Server, post: (source: Readonly<Record<string, unknown>>) => Promise<ApiAnswer<unknown>>, source: ImageSource, what = 'Retrieving image',
): Promise<Operation> {
  const failures: string[] = [];
  for (const candidate of source.candidates) {
    try {
      return await invocation.wait(server, await post(candidate), what);
    } catch (error) {
      if (source.candidates.length === 1) throw error;
      failures.push(`${String(candidate['server'] ?? '')}: ${messageOf(error)}`);
    }
  }
  throw internal(`Failed instance creation:\n${failures.map((one) => ` - ${one}`).join('\n')}`);
}
