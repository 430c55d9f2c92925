import { internal } from '#kernel';

/**
 * What a member must know before it can read its rows' word for it: saved in its file beside the place in the log, in the same transaction.
 * `endpoints` are where the log answered last, the rows say it better as soon as they are there.
 */
export interface ClusterSettings {
  readonly incarnation: string;
  readonly memberId: number;
  readonly endpoints: readonly string[];
  /** etcd's own cluster id, decimal: another one answering there is refused (hazards A2). */
  readonly clusterId: string;
  /** Set once this history was left behind by a recovery elsewhere: what is said to whoever wants to write (hazards A3). */
  readonly leftBehind?: string;
}

export function readSettings(text: string): ClusterSettings {
  const settings = JSON.parse(text) as Partial<ClusterSettings>;
  const { incarnation, memberId, endpoints, clusterId, leftBehind } = settings;
  if (!incarnation || !memberId || !endpoints || !clusterId) throw internal('The database says it belongs to a cluster, but not how to reach its log');
  return { incarnation, memberId, endpoints, clusterId, ...(leftBehind === undefined ? {} : { leftBehind }) };
}
