import { LocalMember, Logger } from '#kernel';
import { Database, EtcdClusterLog } from '#platform/database';
import { LeaseLiveness } from '#platform/raft';

const defaultThresholdSeconds = 20;

/** Who is there, as long as this member is part of a cluster; begins and ends with its connection to the log. */
export function createLiveness(member: LocalMember, logger: Logger, database: Database, cluster: EtcdClusterLog): LeaseLiveness {
  const offlineThresholdMs = (): number =>
    Number(database.read.get<{ value: string }>("SELECT value FROM config WHERE key = 'cluster.offline_threshold'")?.value ?? defaultThresholdSeconds) * 1000;
  const liveness = new LeaseLiveness({ member, logger, offlineThresholdMs });
  cluster.onConnection((connection) => void (connection ? liveness.follow(connection.client, connection.settings.incarnation) : liveness.unfollow()));
  return liveness;
}
