import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';

export const add: Run = async ({ config, args: [name = '', target = ''] }) => {
  if (config.aliases.has(name)) throw invalid(`Alias ${name} already exists`);
  config.aliases.set(name, target);
  config.save();
};

export const list: Run = async (invocation) => {
  const { aliases } = invocation.config;
  const sorted = [...aliases].sort(([a], [b]) => (a < b ? -1 : 1));
  invocation.printList(['ALIAS', 'TARGET'], sortRows(sorted.map(([name, target]) => [name, target])), Object.fromEntries(sorted));
};

export const remove: Run = async ({ config, args: [name = ''] }) => {
  if (!config.aliases.delete(name)) throw invalid(`Alias ${name} doesn't exist`);
  config.save();
};

export const rename: Run = async ({ config, args: [from = '', to = ''] }) => {
  const target = config.aliases.get(from);
  if (target === undefined) throw invalid(`Alias ${from} doesn't exist`);
  if (config.aliases.has(to)) throw invalid(`Alias ${to} already exists`);
  config.aliases.delete(from);
  config.aliases.set(to, target);
  config.save();
};
