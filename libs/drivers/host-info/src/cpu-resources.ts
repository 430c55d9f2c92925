import { parseNumberList, present, type Sysfs } from './sysfs.js';

const cpuRoot = '/sys/devices/system/cpu';

interface Thread { readonly id: number; readonly numa_node: number; readonly thread: number; readonly online: boolean; readonly isolated: boolean }
interface Core { readonly core: number; readonly die: number; readonly threads: Thread[]; frequency?: number }
interface Socket {
  readonly name: string; readonly vendor: string; readonly socket: number; cache: unknown[]; readonly cores: Core[];
  frequency?: number; frequency_minimum?: number; frequency_turbo?: number;
}

/** Sockets, cores and threads. Frequencies in MHz. CPUs that are switched off tell no topology and are left out. */
export async function readCpu(sys: Sysfs, architecture: string): Promise<Record<string, unknown>> {
  const cpus = (await sys.names(cpuRoot)).filter((name) => /^cpu\d+$/.test(name)).map((name) => Number(name.slice(3))).sort((a, b) => a - b);
  const isolated = new Set(parseNumberList(await sys.text(`${cpuRoot}/isolated`)));
  const models = cpuModels(await sys.text('/proc/cpuinfo'));
  const sockets = new Map<number, Socket>();
  let total = 0;
  for (const id of cpus) {
    const directory = `${cpuRoot}/cpu${id}`;
    if ((await sys.text(`${directory}/online`)) === '0' || !(await sys.exists(`${directory}/topology`))) continue;
    const socket = await socketOf(sys, sockets, directory, models.get(id));
    const core = await coreOf(sys, socket, directory);
    core.threads.push({ id, numa_node: await numaNodeOf(sys, directory), thread: core.threads.length, online: true, isolated: isolated.has(id) });
    total++;
  }
  for (const socket of sockets.values()) {
    const frequencies = socket.cores.map(({ frequency }) => frequency ?? 0).filter((frequency) => frequency > 0);
    if (frequencies.length > 0) socket.frequency = Math.floor(frequencies.reduce((sum, one) => sum + one, 0) / frequencies.length);
  }
  return { architecture, sockets: [...sockets.values()].sort((a, b) => a.socket - b.socket), total };
}

async function socketOf(sys: Sysfs, sockets: Map<number, Socket>, directory: string, model: CpuModel = { name: '', vendor: '' }): Promise<Socket> {
  const number = Math.max(0, await sys.number(`${directory}/topology/physical_package_id`));
  const known = sockets.get(number);
  if (known) return known;
  const socket: Socket = {
    ...model, socket: number, cache: await readCaches(sys, directory), cores: [],
    ...present({
      frequency_minimum: await megahertz(sys, `${directory}/cpufreq`, ['cpuinfo_min_freq', 'scaling_min_freq']),
      frequency_turbo: await megahertz(sys, `${directory}/cpufreq`, ['cpuinfo_max_freq', 'scaling_max_freq']),
    }),
  };
  sockets.set(number, socket);
  return socket;
}

async function coreOf(sys: Sysfs, socket: Socket, directory: string): Promise<Core> {
  const core = await sys.number(`${directory}/topology/core_id`);
  const die = Math.max(0, await sys.number(`${directory}/topology/die_id`));
  const known = socket.cores.find((one) => one.core === core && one.die === die);
  if (known) return known;
  const made: Core = { core, die, threads: [], ...present({ frequency: await megahertz(sys, `${directory}/cpufreq`, ['scaling_cur_freq']) }) };
  socket.cores.push(made);
  return made;
}

/** From the first of the files that is there; they hold kHz. */
async function megahertz(sys: Sysfs, directory: string, files: readonly string[]): Promise<number> {
  for (const file of files) {
    const kilohertz = await sys.number(`${directory}/${file}`);
    if (kilohertz > 0) return Math.floor(kilohertz / 1000);
  }
  return 0;
}

async function readCaches(sys: Sysfs, directory: string): Promise<unknown[]> {
  const names = (await sys.names(`${directory}/cache`)).filter((name) => name.startsWith('index'));
  return Promise.all(names.map(async (name) => ({
    level: await sys.number(`${directory}/cache/${name}/level`),
    type: await sys.text(`${directory}/cache/${name}/type`),
    size: parseCacheSize(await sys.text(`${directory}/cache/${name}/size`)),
  })));
}

async function numaNodeOf(sys: Sysfs, directory: string): Promise<number> {
  const node = (await sys.names(directory)).find((name) => /^node\d+$/.test(name));
  return node === undefined ? 0 : Number(node.slice(4));
}

/** `1024K` or `32M` in bytes. */
export function parseCacheSize(text: string): number {
  const match = /^(\d+)([KMG]?)$/.exec(text);
  return match ? Number(match[1]) * { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }[(match[2] ?? '') as '' | 'K' | 'M' | 'G'] : 0;
}

interface CpuModel { readonly name: string; readonly vendor: string }

/** Model and vendor by CPU number, as /proc/cpuinfo names them on x86 (ARM's tells neither). */
export function cpuModels(cpuinfo: string): Map<number, CpuModel> {
  const blocks = cpuinfo.split('\n\n').map((block) => new Map(block.split('\n').map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()] as const;
  })));
  return new Map(blocks.filter((block) => block.has('processor')).map((block) => [
    Number(block.get('processor')), { name: block.get('model name') ?? block.get('cpu') ?? '', vendor: block.get('vendor_id') ?? '' },
  ]));
}
