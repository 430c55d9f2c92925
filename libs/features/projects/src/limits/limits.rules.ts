import { findRootDisk } from '#config-schema';
import { internal, parseByteSize } from '#kernel';
import type { LimitedEntity, ProjectContent } from './project-content.repository.js';

/** Limits on what all instances of a project add up to. */
export const aggregateLimits = ['limits.cpu', 'limits.disk', 'limits.memory', 'limits.processes'] as const;
export type AggregateLimit = (typeof aggregateLimits)[number];

const countLimits = { container: 'limits.containers', 'virtual-machine': 'limits.virtual-machines' } as const;

/** One more instance would be too many: the content counts it already. @throws in LXD's words. */
export function checkCounts({ project, instances }: ProjectContent, type: 'container' | 'virtual-machine'): void {
  const beyond = (key: string, count: number): boolean => (project.config[key] ?? '') !== '' && count > Number(project.config[key]);
  if (beyond('limits.instances', instances.length)) throw internal(`Reached maximum number of instances in project "${project.name}"`);
  if (beyond(countLimits[type], countOf(instances, type))) throw internal(`Reached maximum number of instances of type "${type}" in project "${project.name}"`);
}

export function checkAggregates(content: ProjectContent): void {
  const { project } = content;
  const limited = aggregateLimits.filter((key) => (project.config[key] ?? '') !== '');
  for (const key of limited) {
    if (total(content, key, 'Failed getting usage of project entities: ') > amount(key, project.config[key]!)) {
      throw internal(`Reached maximum aggregate value "${project.config[key]}" for "${key}" in project "${project.name}"`);
    }
  }
}

/** A limit that is set must hold from the start. @throws in LXD's words. */
export function checkNewLimit(content: ProjectContent, key: string, value: string): void {
  const { project, instances } = content;
  if (value === '') return;
  if (key === 'limits.instances' && instances.length > Number(value)) {
    throw internal(`Can't change limits.instances in project "${project.name}": "limits.instances" is too low: there currently are ${instances.length} total instances in project "${project.name}"`);
  }
  for (const type of ['container', 'virtual-machine'] as const) {
    const count = countOf(instances, type);
    if (key === countLimits[type] && count > Number(value)) {
      throw internal(`Can't change "${key}" in project "${project.name}": "${key}" is too low: there currently are ${count} instances of type ${type} in project "${project.name}"`);
    }
  }
  const aggregate = aggregateLimits.find((name) => name === key);
  if (aggregate === undefined) return;
  const used = total(content, aggregate, '');
  if (used > amount(aggregate, value)) throw internal(`"${key}" is too low: current total is "${shown(aggregate, used)}"`);
}

function countOf(instances: readonly LimitedEntity[], type: string): number {
  return instances.filter((instance) => instance.type === type).length;
}

function amount(key: AggregateLimit, value: string): number {
  return key === 'limits.disk' || key === 'limits.memory' ? parseByteSize(value) : Number(value);
}

/** Every instance must say how much it takes: what is not limited could be anything. */
function total(content: ProjectContent, key: AggregateLimit, prefix: string): number {
  const { project, instances, volumes } = content;
  let sum = 0;
  for (const instance of instances) sum += key === 'limits.disk' ? rootSize(project.name, instance, prefix) : taken(project.name, instance, key, prefix);
  if (key !== 'limits.disk') return sum;
  for (const { name, config } of volumes) {
    if ((config['size'] ?? '') === '') throw internal(`${prefix}Custom volume "${name}" in project "${project.name}" has no "size" config set`);
    sum += parseByteSize(config['size']!);
  }
  return sum;
}

function taken(project: string, { name, config }: LimitedEntity, key: Exclude<AggregateLimit, 'limits.disk'>, prefix: string): number {
  const value = config[key] ?? '';
  if (value === '') throw internal(`${prefix}Instance "${name}" in project "${project}" has no "${key}" config, either directly or via a profile`);
  try {
    if (key === 'limits.memory' || /^\d+$/.test(value)) return amount(key, value);
  } catch {
    // A share of the host, or a set of CPUs, is no amount; nor is what nobody could read.
  }
  throw internal(`${prefix}Failed parsing "${key}" for instance "${name}" in project "${project}"`);
}

function rootSize(project: string, { name, devices }: LimitedEntity, prefix: string): number {
  const { size } = findRootDisk(devices).config;
  if (size === undefined || size === '') throw internal(`${prefix}Instance "${name}" in project "${project}" has no "size" config set on the root device either directly or via a profile`);
  return parseByteSize(size);
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

function shown(key: AggregateLimit, value: number): string {
  if (key !== 'limits.disk' && key !== 'limits.memory') return String(value);
  let [rest, unit] = [value, 0];
  while (rest >= 1024 && unit < units.length - 1) [rest, unit] = [rest / 1024, unit + 1];
  return unit === 0 ? `${value}B` : `${rest.toFixed(1)}${units[unit]}`;
}
