import { networkInterfaces } from 'node:os';
import { decodeJoinToken, type Cluster } from '#api-types';
import { ApiClient, fingerprintOf, resolveJoinToken, shownCertificate, whyNoToken } from '#client';
import { internal, invalid, wrap } from '#kernel';
import type { Api } from './api.js';
import { withPort } from './cluster.js';
import type { Questions } from './questions.js';
import type { ClusterPreseed } from './preseed.js';

/** The questions about clustering, in LXD's order and words. Null: no cluster. */
export async function askCluster(api: Api, ask: Questions): Promise<ClusterPreseed | null> {
  if (!(await ask.yes('Would you like to use LXD clustering?', false))) return null;
  const { environment } = await api.get<{ environment: { server_name: string } }>('/1.0');
  const address = await ask.text('What IP address or DNS name should be used to reach this server?', ownAddress());
  const preseed: ClusterPreseed = { ...empty, enabled: true, server_address: withPort(address) };
  if (!(await ask.yes('Are you joining an existing cluster?', false))) return { ...preseed, server_name: await askName(ask, environment.server_name) };
  const joining = await askTarget(ask, environment.server_name, preseed);
  if (!(await ask.plainYes('All existing data is lost when joining a cluster, continue? (yes/no) [default=no] '))) throw invalid('User aborted configuration');
  return { ...joining, member_config: await askMemberConfig(ask, joining) };
}

const empty: ClusterPreseed = {
  server_name: '', enabled: false, member_config: [], cluster_address: '', cluster_certificate: '', server_address: '', cluster_password: '', cluster_certificate_path: '', cluster_token: '',
};

function askName(ask: Questions, hostname: string): Promise<string> {
  return ask.text('What member name should be used to identify this server in the cluster?', hostname);
}

async function askTarget(ask: Questions, hostname: string, preseed: ClusterPreseed): Promise<ClusterPreseed> {
  const answer = await ask.text('Do you have a join token? (yes/no/[token])', 'no', (given) => (isYes(given) || isNo(given) || isToken(given) === null ? null : isToken(given)));
  if (!isNo(answer)) {
    const token = isYes(answer) ? await ask.text('Please provide join token', '', isToken) : answer;
    const { name, address, certificate } = await resolveJoinToken(token);
    return { ...preseed, server_name: name, cluster_address: withPort(address), cluster_certificate: certificate, cluster_password: token };
  }
  const name = await askName(ask, hostname);
  const address = withPort(await ask.text('IP address or FQDN of an existing cluster member (may include port)', ''));
  const certificate = await shownCertificate(address).catch((error: unknown) => {
    throw wrap(error, `Failed to setup trust relationship with cluster: Failed to connect to target cluster node "${address}"`);
  });
  const fingerprint = fingerprintOf(certificate);
  process.stdout.write(`Cluster fingerprint: ${fingerprint}\nYou can validate this fingerprint by running "lxc info" locally on an existing cluster member.\n`);
  const right = await ask.text('Is this the correct fingerprint? (yes/no/[fingerprint])', 'no', (given) => (isYes(given) || isNo(given) || given === fingerprint ? null : 'Invalid input, try again.'));
  if (isNo(right)) throw invalid('User aborted configuration');
  const password = await ask.password('Cluster trust password');
  return { ...preseed, server_name: name, cluster_address: address, cluster_certificate: certificate.toString(), cluster_password: password };
}

/** What differs from member to member, asked of the cluster. */
async function askMemberConfig(ask: Questions, preseed: ClusterPreseed): Promise<ClusterPreseed['member_config']> {
  const target = new ApiClient({ url: `https://${preseed.cluster_address}`, certificate: preseed.cluster_certificate });
  try {
    const { metadata } = await target.call<Cluster>('POST', '/internal/cluster/questions', { body: { name: preseed.server_name, password: preseed.cluster_password } });
    const answers: ClusterPreseed['member_config'] = [];
    for (const key of metadata.member_config) answers.push({ ...key, value: await ask.optional(`Choose ${key.description}`) });
    return answers;
  } catch (error) {
    throw wrap(error, 'Failed to retrieve cluster information');
  } finally {
    target.close();
  }
}

const isYes = (answer: string): boolean => ['yes', 'y'].includes(answer.toLowerCase());
const isNo = (answer: string): boolean => ['no', 'n'].includes(answer.toLowerCase());

function isToken(answer: string): string | null {
  return decodeJoinToken(answer) === null ? `Invalid input: Invalid join token: ${whyNoToken(answer)}` : null;
}

/** The first address of this host that others can reach. */
function ownAddress(): string {
  const found = Object.values(networkInterfaces()).flatMap((list) => list ?? []).find(({ internal: loopback, address }) => !loopback && !address.startsWith('fe80:'));
  if (found === undefined) throw internal('This host has no address that others could reach');
  return found.address;
}
