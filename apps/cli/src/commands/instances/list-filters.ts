import { BlockList, isIP } from 'node:net';
import type { FullInstance } from './list-columns.js';

/** Whether an instance fits all filters of a command line. */
export function fits(instance: FullInstance, filters: readonly string[]): boolean {
  return filters.every((filter) => fitsOne(instance, filter));
}

function fitsOne(instance: FullInstance, filter: string): boolean {
  const equals = filter.indexOf('=');
  if (equals < 0) return matches(filter, instance.name);
  const key = filter.slice(0, equals);
  const value = filter.slice(equals + 1);
  const shorthand = shorthands[key];
  if (shorthand !== undefined) return value.split(',').some((one) => shorthand(instance, one));
  return Object.entries(instance.expanded_config ?? {}).some(([found, content]) => abbreviates(key, found) && (content === value || wholly(value, content)))
    || Object.entries(instance.expanded_config ?? {}).some(([found, content]) => `${found}=${content}` === filter);
}

/** A name that begins so, or a regular expression that matches anywhere where it is one. */
function matches(filter: string, name: string): boolean {
  if (filter === '') return true;
  const pattern = /[^A-Za-z0-9-]/.test(filter) ? filter : `^${filter}`;
  try {
    return new RegExp(pattern.includes('^') || pattern.includes('$') ? pattern : `^(?:${pattern})`).test(name);
  } catch {
    return false;
  }
}

function wholly(pattern: string, text: string): boolean {
  try {
    return new RegExp(`^(?:${pattern})$`).test(text);
  } catch {
    return false;
  }
}

/** `u.blah` stands for `user.blah`: each part begins that of the key. */
function abbreviates(short: string, key: string): boolean {
  const wanted = short.split('.');
  const parts = key.split('.');
  return wanted.length === parts.length && wanted.every((part, index) => (index === wanted.length - 1 ? parts[index] === part : parts[index]!.startsWith(part)));
}

const shorthands: Readonly<Record<string, (instance: FullInstance, value: string) => boolean>> = {
  type: (one, value) => one.type.toLowerCase() === value.toLowerCase(),
  status: (one, value) => one.status.toLowerCase() === value.toLowerCase(),
  architecture: (one, value) => one.architecture.toLowerCase() === value.toLowerCase(),
  location: (one, value) => one.location.toLowerCase() === value.toLowerCase(),
  ipv4: (one, value) => hasAddress(one, value, 'ipv4'),
  ipv6: (one, value) => hasAddress(one, value, 'ipv6'),
};

/** An address, or a network with its prefix. */
function hasAddress(instance: FullInstance, value: string, family: 'ipv4' | 'ipv6'): boolean {
  const [network = '', prefix] = value.split('/');
  if (isIP(network) !== (family === 'ipv4' ? 4 : 6)) return false;
  const wanted = new BlockList();
  if (prefix === undefined) wanted.addAddress(network, family);
  else wanted.addSubnet(network, Number(prefix), family);
  const inet = family === 'ipv4' ? 'inet' : 'inet6';
  return Object.values(instance.state?.network ?? {}).some((link) => (link.addresses ?? []).some((one) => one.family === inet && wanted.check(one.address, family)));
}
