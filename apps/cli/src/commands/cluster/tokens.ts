import type { Operation } from '#api-types';
import { invalid, notFound } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { isUnset, localMinute } from '../../output/times.js';
import { url, type Server } from '../../server.js';
import { requireCluster } from './members.js';

interface TokenMetadata {
  readonly serverName: string;
  readonly fingerprint: string;
  readonly addresses: readonly string[];
  readonly secret: string;
  readonly expiresAt?: string;
}

/** The token as a joining server takes it. */
function textOf(operation: Operation): string {
  const { serverName, fingerprint, addresses, secret, expiresAt } = operation.metadata as unknown as TokenMetadata;
  return Buffer.from(JSON.stringify({ server_name: serverName, fingerprint, addresses, secret, expires_at: expiresAt ?? '0001-01-01T00:00:00Z' })).toString('base64');
}

export const add: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  const flag = invocation.flags.text('name');
  if (name !== '' && flag !== '' && name !== flag) throw invalid('Cluster member name was provided as both a flag and as an argument');
  const member = name || flag || await invocation.terminal.ask('Please provide cluster member name: ');
  const { metadata } = await server.api.call<Operation>('POST', url(['cluster', 'members']), { body: { server_name: member } });
  if (!invocation.flags.bool('quiet')) invocation.print(`Member ${member} join token:`);
  invocation.print(textOf(metadata));
};

async function pending(server: Server): Promise<Operation[]> {
  const operations = await server.get<Record<string, Operation[]>>(url(['operations'], { recursion: 1, project: 'default' }));
  return Object.values(operations).flat().filter((one) => one.class === 'token' && one.status === 'Running' && one.metadata?.['serverName'] !== undefined);
}

export const list: Run = async (invocation) => {
  const server = await invocation.serverOf(invocation.arg(0));
  await requireCluster(server);
  const found = (await pending(server)).map((one) => {
    const { serverName, expiresAt } = one.metadata as unknown as TokenMetadata;
    return { ServerName: serverName, Token: textOf(one), ExpiresAt: isUnset(expiresAt) ? '' : localMinute(expiresAt!) };
  });
  const data = invocation.flags.text('format') === 'yaml' ? found.map((one) => ({ servername: one.ServerName, token: one.Token, expiresat: one.ExpiresAt })) : found;
  invocation.printList(['NAME', 'TOKEN', 'EXPIRES AT'], sortRows(found.map((one) => [one.ServerName, one.Token, one.ExpiresAt])), data);
};

export const revoke: Run = async (invocation) => {
  const { remote, name } = invocation.parse(invocation.arg(0));
  const server = await invocation.server(remote);
  await requireCluster(server);
  const found = (await pending(server)).find((one) => one.metadata?.['serverName'] === name);
  if (found === undefined) throw notFound(`No cluster join token for member ${name} on remote: ${remote}`);
  await server.api.call('DELETE', url(['operations', found.id]));
  if (!invocation.flags.bool('quiet')) invocation.print(`Cluster join token for ${remote}:${name} deleted`);
};
