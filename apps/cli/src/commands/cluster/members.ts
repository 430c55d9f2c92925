import { readFileSync } from 'node:fs';
import { AppError, internal, invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url, type Server } from '../../server.js';
import { confirmed, mustConfirm } from '../../terminal/confirm.js';
import { ConfigKind, missing } from '../config-kind.js';

interface Member {
  readonly server_name: string;
  readonly url: string;
  readonly roles: readonly string[] | null;
  readonly architecture: string;
  readonly failure_domain: string;
  readonly description: string;
  readonly status: string;
  readonly message: string;
}

export const kind = new ConfigKind({
  noun: 'Member', path: ([name]) => ['cluster', 'members', name!], shape: { roles: null, failure_domain: '', description: '', config: null, groups: null },
  nameKey: 'server_name', unsetComplaint: (key, [name]) => `The key ${JSON.stringify(key)} does not exist on cluster member ${JSON.stringify(name)}`,
  explanation: 'A member of the cluster, as YAML.\nLines that begin with # are ignored; name and address cannot be changed here.',
});

/** Throws unless the server is in a cluster. */
export async function requireCluster(server: Server): Promise<void> {
  const { enabled } = await server.get<{ enabled: boolean }>(url(['cluster']));
  if (!enabled) throw invalid("LXD server isn't part of a cluster");
}

export const list: Run = async (invocation) => {
  const server = await invocation.serverOf(invocation.arg(0));
  await requireCluster(server);
  const members = await server.get<Member[]>(url(['cluster', 'members'], { recursion: 1 }));
  const rows = members.map((one) => [one.server_name, one.url, (one.roles ?? []).join(invocation.flags.text('format') === 'csv' ? ',' : '\n'), one.architecture, one.failure_domain, one.description, one.status.toUpperCase(), one.message]);
  invocation.printList(['NAME', 'URL', 'ROLES', 'ARCHITECTURE', 'FAILURE DOMAIN', 'DESCRIPTION', 'STATE', 'MESSAGE'], sortRows(rows), members);
};

export const enable: Run = async (invocation) => {
  const { args } = invocation;
  const server = args.length === 2 ? await invocation.serverOf(args[0]!) : await invocation.server();
  const name = args.at(-1)!;
  const { value: cluster, etag } = await server.fetch<{ enabled: boolean }>(url(['cluster']));
  if (cluster.enabled) throw internal('This LXD server is already clustered');
  if ((server.info.config?.['core.https_address'] ?? '') === '') throw internal('This LXD server is not available on the network');
  await invocation.run(server, 'PUT', url(['cluster']), {
    server_name: name, enabled: true, member_config: [], cluster_address: '', cluster_certificate: '', server_address: '', cluster_password: '', cluster_certificate_path: '',
  }, '', { 'if-match': etag });
  invocation.print('Clustering enabled');
};

/** Moves the instances of a member away or back. */
function changeState(action: 'evacuate' | 'restore'): Run {
  return async (invocation) => {
    const { server, name } = await invocation.place(invocation.arg(0));
    if (name === '') throw invalid('Missing cluster member name');
    const question = `Are you sure you want to ${action} cluster member "${name}"? (yes/no) [default=no]: `;
    if (!invocation.flags.bool('force') && !(await confirmed(invocation.terminal, question))) return;
    const what = action === 'evacuate' ? `Evacuating cluster member: ${name}` : `Restoring cluster member: ${name}`;
    await invocation.run(server, 'POST', url(['cluster', 'members', name, 'state']), { action, mode: '' }, what).catch((error: unknown) => {
      throw AppError.is(error, 'not-found') ? missing('Failed to update cluster member state', error) : error;
    });
  };
}

export const evacuate = changeState('evacuate');
export const restore = changeState('restore');

const forceWarning = `Forcefully removing a server from the cluster should only be done as a last
resort.

The removed server will not be functional after this action and will require a
full reset of LXD, losing any remaining instance, image or storage volume
that the server may have held.

When possible, a graceful removal should be preferred, this will require you to
move any affected instance, image or storage volume to another server prior to
the server being cleanly removed from the cluster.

The --force flag should only be used if the server has died, been reinstalled
or is otherwise never expected to come back up.
`;

export const remove: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing cluster member name');
  const force = invocation.flags.bool('force');
  if (force && !invocation.flags.bool('yes')) await confirmForce(invocation, name);
  await invocation.run(server, 'DELETE', url(['cluster', 'members', name], { force }));
  if (!invocation.flags.bool('quiet')) invocation.print(`Member ${name} removed`);
};

async function confirmForce(invocation: Invocation, name: string): Promise<void> {
  const refusal = 'User aborted delete operation';
  await mustConfirm(invocation.terminal, `${forceWarning}\nAre you really sure you want to force removing ${name}? (yes/no): `, refusal).catch(() => { throw invalid(refusal); });
}

export const updateCertificate: Run = async (invocation) => {
  const { args } = invocation;
  const remote = args.length === 3 ? invocation.parse(args[0]!).remote : invocation.config.defaultRemote;
  const server = await invocation.server(remote);
  await requireCluster(server);
  const [certificateFile = '', keyFile = ''] = args.slice(-2);
  const read = (file: string, what: string): string => {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      throw invalid(`Could not read ${what} file: ${file} with error: open ${file}: no such file or directory`);
    }
  };
  const cluster_certificate = read(certificateFile, 'certificate');
  const cluster_certificate_key = read(keyFile, 'certificate key');
  await invocation.run(server, 'PUT', url(['cluster', 'certificate']), { cluster_certificate, cluster_certificate_key });
  if (invocation.config.serverCertificate(remote) !== undefined) invocation.config.pinServerCertificate(remote, cluster_certificate);
  if (!invocation.flags.bool('quiet')) invocation.print(`Successfully updated cluster certificates for remote ${remote}`);
};
