import { invalid } from '#kernel';

/** LXD's rules for names of profiles, in its words. */
export function validateProfileName(name: string): void {
  if (name === '') throw invalid('No name provided');
  if (name.includes('/')) throw invalid('Profile names may not contain slashes');
  if (name === '.' || name === '..') throw invalid(`Invalid profile name "${name}"`);
}
