import { AppError, invalid, unavailable } from '#kernel';
import type { Run } from '../../invocation.js';
import { url } from '../../server.js';
import type { FullInstance } from '../instances/list-columns.js';

const everyMs = 500;

/** Addresses others can reach. */
const addresses = (one: FullInstance, family?: string): string[] => Object.entries(one.state?.network ?? {}).filter(([, link]) => link.type !== 'loopback')
  .flatMap(([, link]) => link.addresses ?? []).filter((address) => address.scope === 'global' && (family === undefined || address.family === family)).map((address) => address.address);

const conditions: Readonly<Record<string, (one: FullInstance) => boolean>> = {
  running: (one) => one.status === 'Running',
  stopped: (one) => one.status === 'Stopped',
  frozen: (one) => one.status === 'Frozen',
  address: (one) => addresses(one).length > 0,
  ipv4: (one) => addresses(one, 'inet').length > 0,
  ipv6: (one) => addresses(one, 'inet6').length > 0,
  // Without its agent a virtual machine shows no processes.
  agent: (one) => one.status === 'Running' && (one.state?.processes ?? -1) > 0,
  gone: () => false,
};

export const wait: Run = async (invocation) => {
  const wanted = invocation.flags.text('for');
  const condition = conditions[wanted];
  if (condition === undefined) throw invalid(`${JSON.stringify(wanted)} is none of ${Object.keys(conditions).join(', ')}`);
  const seconds = invocation.flags.int('timeout');
  const { server, name } = await invocation.place(invocation.arg(0));
  const until = performance.now() + seconds * 1000;
  for (;;) {
    let status = 'gone';
    try {
      const instance = await server.api.get<FullInstance>(url(['instances', name], { recursion: 1 }));
      status = instance.status.toLowerCase();
      if (condition(instance)) return;
    } catch (error) {
      if (!AppError.is(error, 'not-found') || wanted !== 'gone') throw error;
      return;
    }
    if (performance.now() >= until) throw unavailable(`After ${seconds} seconds "${name}" is ${status}, and not yet: ${wanted}`);
    await new Promise((resolve) => setTimeout(resolve, Math.min(everyMs, Math.max(1, until - performance.now()))));
  }
};
