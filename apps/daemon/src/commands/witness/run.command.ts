import { notFound, type Logger } from '#kernel';
import { Witness, type WitnessFiles } from '#platform/raft';
import { EtcdSupervisor } from '../../supervise/etcd-supervisor.js';

/** `witness run`: votes until a signal ends it, or until the cluster has removed it. */
export async function runWitness(files: WitnessFiles, logger: Logger): Promise<void> {
  const settings = files.read();
  if (settings === null) throw notFound(`No witness lives in ${files.directory}: "roostd witness join TOKEN" makes one`);
  const ending = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.once(name, () => ending.abort());
  await new Witness({ files, launcher: new EtcdSupervisor(logger), logger }, settings).run(ending.signal);
}
