import { invalid } from '#kernel';

/** Refuses names that LXD refuses, in its words. */
export function checkGroupName(name: string): void {
  if (name === '') throw invalid('No name provided');
  if (name.includes('/')) throw invalid('Cluster group names may not contain slashes');
  if (name.includes(' ')) throw invalid('Cluster group names may not contain spaces');
  if (name === '.' || name === '..') throw invalid(`Invalid cluster group name "${name}"`);
}
