import { writeFile } from 'node:fs/promises';

/**
 * Says that processes are about to be moved between cgroups. The first such move after a pause waits in the kernel for some 10 ms (an RCU grace period:
 * the lock over all thread groups is cheap for those who fork and dear for those who move; kernel/cgroup/cgroup.c, kernel/rcu/sync.c), those right after
 * it do not. Here that is waited out by a move of this process to where it is already, in a thread, while the caller gets everything else ready.
 *
 * @param own a control directory of the cgroup this process is in. Where it may not be written nothing is gained and nothing lost.
 */
export function expectCgroupMoves(own: string): void {
  writeFile(`${own}/cgroup.procs`, '0').catch(() => undefined);
}
