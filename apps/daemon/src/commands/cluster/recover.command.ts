import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { invalid, LocalMember, StateDirectory } from '#kernel';
import { ClusterCertificates, ServerCertificates } from '#platform/auth';
import { formerClusterCertificate } from '#platform/peers';
import { EtcdClusterLog, OpenDatabase, QuorumRecovery } from '#platform/database';
import { PinoLogger } from '../../pino.logger.js';
import { StateLock } from '../../state-lock.js';
import { EtcdSupervisor } from '../../supervise/etcd-supervisor.js';
import { confirmed } from './confirm.js';

const question = `You should run this command only if you are *absolutely* certain that this is
the only database node left in your cluster AND that other database nodes will
never come back (i.e. their daemon won't ever be started again).

This will make this server the only member of the cluster, and it won't
be possible to perform operations on former cluster members anymore.

However all information about former cluster members will be preserved in the
database, so you can possibly inspect it for further recovery.

This member's database ends at entry INDEX. Another survivor may have come further: run this
command on the one with the highest number. The last moments before the loss may be missing.
Former members that are started again keep their own history until this one reaches them, and
come back by "lxd cluster rejoin".

Do you want to proceed? (yes/no): `;

/**
 * `cluster recover-from-quorum-loss`: makes a cluster of this member alone, whose daemon does not run. With `address`, for `cluster edit`, under that
 * address from now on. Asks first unless `quiet`.
 */
export async function recoverFromQuorumLoss(root: string, options: { readonly quiet: boolean; readonly address?: string }, write: (text: string) => void): Promise<void> {
  const state = new StateDirectory(root);
  const lock = StateLock.acquire(state);
  const logger = new PinoLogger('warn', '');
  const member = new LocalMember();
  let open: OpenDatabase | undefined;
  let cluster: EtcdClusterLog | undefined;
  try {
    open = await OpenDatabase.open({ directory: state.database, member, logger });
    const launcher = new EtcdSupervisor(logger);
    cluster = new EtcdClusterLog({ open, launcher, member, state, logger });
    const recovery = new QuorumRecovery({ open, cluster, launcher, state, logger });
    Object.assign(member, { id: recovery.self.id, name: recovery.self.name, clustered: true });
    await recovery.assertNoMajority();
    if (!options.quiet && !(await confirmed(question.replace('INDEX', String(recovery.index))))) throw invalid('Recover operation aborted');
    const report = await recovery.run(options.address);
    // What the former members know opens nothing any more.
    const server = new ServerCertificates(state);
    await server.prepare();
    const certificates = new ClusterCertificates(state, server);
    certificates.prepare();
    if (certificates.current) await writeFile(join(state.database, formerClusterCertificate), certificates.current.certificate, { mode: 0o600 });
    await certificates.create();
    write(`Recovered at entry ${report.index}${report.salvaged > 0 ? ` (${report.salvaged} taken from the log)` : ''}. The former database is in ${report.backup}.\n`);
    if (report.leftOut.length > 0) write(`Left behind, and offline from now on: ${report.leftOut.map(({ name }) => name).join(', ')}. Each that still works comes back with what is on it by\n"lxc cluster add NAME" here and "lxd cluster rejoin TOKEN" there; remove the others by "lxc cluster remove --force NAME".\n`);
    if (report.witnesses.length > 0) write(`Witnesses no more: ${report.witnesses.join(', ')}. Each comes again by "lxd cluster witness add NAME" here and "roostd witness join --force TOKEN" there.\n`);
  } finally {
    await cluster?.stop();
    await open?.close();
    lock.release();
  }
}
