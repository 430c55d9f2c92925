import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { unavailable } from '#kernel';
import { EtcdClient } from '../etcd/etcd-client.js';
import type { EtcdPki } from '../pki/etcd-pki.js';
import { etcdArguments, etcdEnvironment, hostPort, peerUrl, voterName, type EtcdNode } from '../process/etcd-arguments.rules.js';
import type { EtcdLauncher } from '../process/etcd-launcher.js';
import { freePort } from './local-voter.js';
import { voterServerName } from '../etcd/voter-calls.js';

const here = '127.0.0.1';
const patienceMs = 20_000;

export interface SalvageParts {
  readonly launcher: EtcdLauncher;
  readonly pki: EtcdPki;
  readonly incarnation: string;
  readonly memberId: number;
  /** Data of a voter that does not run. It is only read. */
  readonly dataDirectory: string;
  /** For the copy; must not exist. */
  readonly workDirectory: string;
}

/**
 * Reads what a voter without its majority holds: a copy of its data is served as a cluster of its own, on loopback, for as long as `read` runs. The
 * last moments may be missing: a voter does not know yet that its newest entries were committed, and etcd drops such (hazards A4).
 */
export async function salvage<T>(parts: SalvageParts, read: (client: EtcdClient) => Promise<T>): Promise<T> {
  const { launcher, pki, incarnation, memberId, dataDirectory, workDirectory } = parts;
  await cp(dataDirectory, workDirectory, { recursive: true });
  const peerPort = await freePort(here, 20_000 + Math.floor(Math.random() * 20_000));
  const clientPort = await freePort(here, peerPort + 1);
  const files = await pki.voterFiles(voterName(memberId), [here, voterServerName]);
  const node: EtcdNode = { name: voterName(memberId), incarnation, dataDirectory: workDirectory, listenAddress: here, advertisedHost: here, peerPort, clientPort, initialState: 'existing', initialCluster: {}, files };
  const running = await launcher.start({
    arguments: [...etcdArguments({ ...node, initialCluster: { [node.name]: peerUrl(node) } }, await launcher.version()), '--force-new-cluster'],
    environment: etcdEnvironment, dataDirectory: workDirectory, logFile: join(workDirectory, 'salvage.log'),
  });
  const client = new EtcdClient({ endpoints: [hostPort(here, clientPort)], credentials: await pki.clientCredentials(voterName(memberId)) });
  try {
    await client.range({ key: Buffer.from(`${incarnation}/head`) }, { timeoutMs: patienceMs }).catch((error: unknown) => {
      throw unavailable('The data of this member\'s voter cannot be read', { cause: error });
    });
    return await read(client);
  } finally {
    client.close();
    await running.terminate(5000);
    await rm(workDirectory, { recursive: true, force: true });
  }
}
