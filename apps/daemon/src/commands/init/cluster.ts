import { readFileSync } from 'node:fs';
import { resolveJoinToken } from '#client';
import { internal, wrap } from '#kernel';
import type { Api } from './api.js';
import type { ClusterPreseed } from './preseed.js';

/** Joins where the preseed says whom; false when it says nobody, so that the rest of it counts. */
export async function joinCluster(api: Api, preseed: ClusterPreseed): Promise<boolean> {
  if (!preseed.enabled) return false;
  const request = await completed(preseed);
  if (request.cluster_address === '' || request.server_address === '') {
    // LXD leaves it to the server to complain.
    if (request.cluster_address !== '') await put(api, request, 'Failed to configure cluster');
    return false;
  }
  await put(api, { ...request, server_address: withPort(request.server_address), cluster_address: withPort(request.cluster_address) }, 'Failed to join cluster');
  return true;
}

/** Makes the server the first member, unless it is one already. */
export async function bootstrapCluster(api: Api, preseed: ClusterPreseed): Promise<void> {
  if (!preseed.enabled) return;
  const { enabled } = await api.get<{ enabled: boolean }>('/1.0/cluster');
  if (!enabled) await put(api, preseed, 'Failed to configure cluster');
}

async function put(api: Api, preseed: ClusterPreseed, context: string): Promise<void> {
  const { cluster_certificate_path: _path, cluster_token: _token, ...body } = preseed;
  await api.put('/1.0/cluster', body).catch((error: unknown) => {
    throw wrap(error, context);
  });
}

/** A token stands for a member's address, the cluster's certificate and the password; a path for the certificate in it. */
async function completed(preseed: ClusterPreseed): Promise<ClusterPreseed> {
  if (preseed.cluster_token !== '') {
    const { name, address, certificate } = await resolveJoinToken(preseed.cluster_token);
    return { ...preseed, server_name: name, cluster_address: address, cluster_certificate: certificate, cluster_password: preseed.cluster_token };
  }
  if (preseed.cluster_certificate_path === '') return preseed;
  try {
    return { ...preseed, cluster_certificate: readFileSync(preseed.cluster_certificate_path, 'utf8') };
  } catch (error) {
    throw internal(`open ${preseed.cluster_certificate_path}: no such file or directory`, { cause: error });
  }
}

/** `host`, `host:port` or `[v6]:port`, with the port of the API where there is none. */
export function withPort(address: string): string {
  if (/^(\[.*\]|[^:]*):\d+$/.test(address)) return address;
  const host = address.includes(':') && !address.startsWith('[') ? `[${address}]` : address;
  return `${host}:8443`;
}
