import { type Sysfs } from './sysfs.js';

const pages = 1024;

/** Bytes. Total is what is plugged in, counted by the kernel's memory blocks, since the kernel's own share is no part of MemTotal. */
export async function readMemory(sys: Sysfs): Promise<Record<string, unknown>> {
  const info = meminfo(await sys.text('/proc/meminfo'));
  const blockBytes = Number.parseInt((await sys.text('/sys/devices/system/memory/block_size_bytes')) || '0', 16);
  const blocks = await onlineBlocks(sys, '/sys/devices/system/memory');
  const get = (name: string): number => info.get(name) ?? 0;
  const total = blocks * blockBytes || get('MemTotal');
  const pageBytes = get('Hugepagesize');
  const names = (await sys.names('/sys/devices/system/node')).filter((name) => /^node\d+$/.test(name));
  return {
    nodes: await Promise.all(names.map((name) => readNode(sys, name, blockBytes, pageBytes))),
    hugepages_total: get('HugePages_Total') / pages * pageBytes,
    hugepages_used: (get('HugePages_Total') - get('HugePages_Free')) / pages * pageBytes,
    hugepages_size: pageBytes,
    used: total - get('MemFree') - get('Buffers') - get('Cached'),
    total,
  };
}

async function readNode(sys: Sysfs, name: string, blockBytes: number, pageBytes: number): Promise<Record<string, unknown>> {
  const directory = `/sys/devices/system/node/${name}`;
  const info = meminfo((await sys.text(`${directory}/meminfo`)).replace(/^Node \d+ /gm, ''));
  const get = (key: string): number => info.get(key) ?? 0;
  return {
    numa_node: Number(name.slice(4)),
    hugepages_used: (get('HugePages_Total') - get('HugePages_Free')) / pages * pageBytes,
    hugepages_total: get('HugePages_Total') / pages * pageBytes,
    used: get('MemUsed'),
    total: (await onlineBlocks(sys, directory)) * blockBytes || get('MemTotal'),
  };
}

async function onlineBlocks(sys: Sysfs, directory: string): Promise<number> {
  const blocks = (await sys.names(directory)).filter((name) => /^memory\d+$/.test(name));
  const online = await Promise.all(blocks.map((name) => sys.text(`${directory}/${name}/online`)));
  return online.filter((text) => text === '1').length;
}

/** Values in bytes. Lines without a unit (`HugePages_Total`) hold counts, times 1024 here like all others. */
export function meminfo(text: string): Map<string, number> {
  return new Map(text.split('\n').map((line) => {
    const [name = '', value = '0'] = line.split(/:\s+/);
    return [name, Number.parseInt(value, 10) * pages] as const;
  }));
}
