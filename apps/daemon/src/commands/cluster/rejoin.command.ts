import type { Api } from '../init/api.js';
import type { RejoinReport } from '#features/cluster';

/** `cluster rejoin TOKEN`: brings a member that a recovery left behind back into the cluster, with what is on it. Its daemon runs. */
export async function rejoinCluster(api: Api, token: string, write: (text: string) => void): Promise<void> {
  write(rejoinText(await api.post<RejoinReport>('/internal/cluster/rejoin', { token })));
}

export function rejoinText({ backup, unknown, unexpected }: RejoinReport): string {
  const list = (names: readonly string[]): string => names.map((name) => `  ${name}\n`).join('');
  return [
    `This member is part of the cluster again, with the cluster's database. What it had in its place was kept in\n${backup}.\n`,
    unknown.length === 0 ? '' : `\nThe cluster does not know these instances, which were on this member. Their files are still on its storage pools, and those\nthat ran still run; "lxd recover" makes them known again:\n${list(unknown)}`,
    unexpected.length === 0 ? '' : `\nThe cluster has these instances on this member, which were deleted or moved away before it came back. Start them to see\nwhether their files are here, and delete those whose are not:\n${list(unexpected)}`,
  ].join('');
}
