import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { asCompact } from '../../output/table.js';
import { bytesIec } from '../../output/units.js';
import { url } from '../../server.js';
import type { FullInstance } from '../instances/list-columns.js';

interface Row {
  readonly project: string;
  readonly name: string;
  readonly location: string;
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
  readonly network: number;
  readonly processes: number;
}

type Order = 'cpu' | 'memory' | 'disk' | 'network' | 'name';
const orders: readonly Order[] = ['cpu', 'memory', 'disk', 'network', 'name'];
const keys: Readonly<Record<string, Order>> = { c: 'cpu', m: 'memory', d: 'disk', x: 'network', n: 'name' };

interface Sample { readonly at: number; readonly cpu: ReadonlyMap<string, number>; readonly network: ReadonlyMap<string, number> }

/** A table of what runs, refreshed. Not at a terminal it is printed once for each look. */
export const top: Run = async (invocation) => {
  const { flags, terminal } = invocation;
  let order = flags.text('sort') as Order;
  if (!orders.includes(order)) throw invalid(`${JSON.stringify(order)} is none of ${orders.join(', ')}`);
  const seconds = flags.int('interval');
  if (seconds < 1) throw invalid('--interval is a number of seconds, at least 1');
  const server = await invocation.serverOf(invocation.arg(0));
  const path = url(['instances'], { recursion: 2, 'all-projects': flags.bool('all-projects') ? 'true' : '' });
  const live = terminal.inputIsTerminal && terminal.outputIsTerminal;
  const looks = flags.int('count') > 0 ? flags.int('count') : live ? Infinity : 1;
  const stop = Promise.withResolvers<'stop'>();
  let redraw = (): void => undefined;
  const onKey = (data: Buffer): void => {
    for (const key of data.toString('utf8')) {
      if (key === 'q' || key === '\u0003') stop.resolve('stop');
      if (keys[key] !== undefined) {
        order = keys[key];
        redraw();
      }
    }
  };
  if (live) {
    terminal.stdin.setRawMode(true);
    terminal.stdin.on('data', onKey);
    terminal.out('\u001b[?25l');
  }
  try {
    let before: Sample | undefined;
    // A rate takes two looks.
    for (let look = 0; look <= looks; look++) {
      const instances = (await server.api.get<FullInstance[]>(path)).filter((one) => one.status === 'Running');
      const now = sample(instances);
      const rows = rowsOf(instances, before, now);
      const shown = (): string => render(rows, order, { allProjects: flags.bool('all-projects'), clustered: server.clustered });
      redraw = () => terminal.out(`\u001b[H\u001b[2J${shown().split('\n').slice(0, terminal.rows - 1).join('\n')}\n`);
      if (live) redraw();
      else if (look > 0) terminal.out(shown());
      before = now;
      const pause = new Promise<'go'>((resolve) => setTimeout(() => resolve('go'), seconds * 1000));
      if (look < looks && await Promise.race([pause, stop.promise]) === 'stop') return;
    }
  } finally {
    if (live) {
      terminal.stdin.off('data', onKey);
      terminal.stdin.setRawMode(false);
      terminal.release();
      terminal.out('\u001b[?25h');
    }
  }
};

const keyOf = (one: FullInstance): string => `${one.project}/${one.name}`;

function sample(instances: readonly FullInstance[]): Sample {
  const traffic = (one: FullInstance): number => Object.values(one.state?.network ?? {}).filter((link) => link.type !== 'loopback').reduce((sum, { counters }) => sum + counters.bytes_received + counters.bytes_sent, 0);
  return { at: performance.now(), cpu: new Map(instances.map((one) => [keyOf(one), one.state?.cpu.usage ?? 0])), network: new Map(instances.map((one) => [keyOf(one), traffic(one)])) };
}

function rowsOf(instances: readonly FullInstance[], before: Sample | undefined, now: Sample): Row[] {
  const rate = (of: 'cpu' | 'network', key: string): number => {
    const was = before?.[of].get(key);
    return was === undefined || before === undefined ? 0 : Math.max(0, (now[of].get(key)! - was) / Math.max(1, now.at - before.at));
  };
  return instances.map((one) => ({
    project: one.project, name: one.name, location: one.location, cpu: rate('cpu', keyOf(one)) / 1e4, memory: one.state?.memory.usage ?? 0,
    disk: Object.values(one.state?.disk ?? {}).reduce((sum, disk) => sum + Math.max(0, disk.usage), 0), network: rate('network', keyOf(one)) * 1000, processes: one.state?.processes ?? 0,
  }));
}

function render(rows: readonly Row[], order: Order, { allProjects, clustered }: { allProjects: boolean; clustered: boolean }): string {
  const sorted = [...rows].sort((a, b) => (order === 'name' ? 0 : b[order] - a[order]) || (a.name < b.name ? -1 : 1));
  const header = [...(allProjects ? ['PROJECT'] : []), 'NAME', ...(clustered ? ['LOCATION'] : []), 'CPU%', 'MEMORY', 'DISK', 'NETWORK/S', 'PROCESSES'];
  const cells = sorted.map((one) => [...(allProjects ? [one.project] : []), one.name, ...(clustered ? [one.location] : []), one.cpu.toFixed(1), bytesIec(one.memory), bytesIec(one.disk), bytesIec(Math.round(one.network)), String(one.processes)]);
  return `${sorted.length} running\n\n${asCompact(header, cells)}`;
}
