import { invalid } from '#kernel';

/** LXD's rules for names of projects, in its words and its order. */
export function validateProjectName(name: string): void {
  if (name === '') throw invalid('No name provided');
  if (name.includes('/')) throw invalid('Project names may not contain slashes');
  if (name.includes(' ')) throw invalid('Project names may not contain spaces');
  if (name.includes('_')) throw invalid('Project names may not contain underscores');
  if (name.includes("'") || name.includes('"')) throw invalid('Project names may not contain quotes');
  if (name === '*') throw invalid('Reserved project name');
  if (name === '.' || name === '..') throw invalid(`Invalid project name "${name}"`);
}
