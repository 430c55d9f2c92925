import { invalid } from '#kernel';
import type { ConfigMap } from '#api-types';

interface Size {
  readonly cpu: number;
  /** GiB. */
  readonly memory: number;
}

/** A few sizes of public clouds, CPUs and GiB, by `provider:name`; a name alone is looked for in all of them. */
const sizes: Readonly<Record<string, Size>> = {
  'aws:t1.micro': { cpu: 1, memory: 0.613 },
  'aws:t2.nano': { cpu: 1, memory: 0.5 },
  'aws:t2.micro': { cpu: 1, memory: 1 },
  'aws:t2.small': { cpu: 1, memory: 2 },
  'aws:t2.medium': { cpu: 2, memory: 4 },
  'aws:t2.large': { cpu: 2, memory: 8 },
  'aws:t3.micro': { cpu: 2, memory: 1 },
  'aws:t3.small': { cpu: 2, memory: 2 },
  'aws:t3.medium': { cpu: 2, memory: 4 },
  'aws:m5.large': { cpu: 2, memory: 8 },
  'aws:m5.xlarge': { cpu: 4, memory: 16 },
  'aws:c5.large': { cpu: 2, memory: 4 },
  'aws:c5.xlarge': { cpu: 4, memory: 8 },
  'azure:A1': { cpu: 1, memory: 1.75 },
  'gce:f1-micro': { cpu: 0.2, memory: 0.6 },
  'gce:g1-small': { cpu: 0.5, memory: 1.7 },
  'gce:n1-standard-1': { cpu: 1, memory: 3.75 },
};

/** Limits of a size: a name of the table, or `cN`, `mN`, `cN-mN` in any order (CPUs, GiB). `invalid` for another name. */
export function limitsOfSize(text: string): ConfigMap {
  const size = parseSize(text) ?? sizes[text] ?? Object.entries(sizes).find(([name]) => name.split(':')[1] === text)?.[1];
  if (size === undefined) throw invalid(`Provided instance type doesn't exist: ${text}`);
  const limits: ConfigMap = {};
  if (size.cpu > 0) {
    limits['limits.cpu'] = String(Math.ceil(size.cpu));
    if (size.cpu < 1) limits['limits.cpu.allowance'] = `${Math.floor(size.cpu * 100)}%`;
  }
  if (size.memory > 0) limits['limits.memory'] = `${Math.floor(size.memory * 1024)}MB`;
  return limits;
}

function parseSize(text: string): Size | undefined {
  let [cpu, memory] = [0, 0];
  for (const part of text.split('-')) {
    const [, kind, amount] = /^([cm])(\d+(?:\.\d+)?)$/.exec(part) ?? [];
    if (kind === undefined) return undefined;
    if (kind === 'c') cpu = Number(amount);
    else memory = Number(amount);
  }
  return { cpu, memory };
}
