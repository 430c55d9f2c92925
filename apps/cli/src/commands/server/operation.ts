import type { Operation } from '#api-types';
import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { utcMinute } from '../../output/times.js';
import { url } from '../../server.js';

export const list: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name !== '') throw invalid("Filtering isn't supported yet");
  const operations = Object.values(await server.get<Record<string, Operation[]>>(url(['operations'], { recursion: 1 }))).flat();
  const rows = operations.map((one) => [
    one.id, one.class.toUpperCase(), one.description, one.status.toUpperCase(), one.may_cancel ? 'YES' : 'NO', utcMinute(one.created_at), ...(server.clustered ? [one.location] : []),
  ]);
  invocation.printList(['ID', 'TYPE', 'DESCRIPTION', 'STATUS', 'CANCELABLE', 'CREATED', ...(server.clustered ? ['LOCATION'] : [])], sortRows(rows), operations);
};

export const show: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  const operation = await server.get<Operation>(url(['operations', name]));
  invocation.printYaml(operation);
};

export const remove: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  await server.api.call('DELETE', url(['operations', name]));
  if (!invocation.flags.bool('quiet')) invocation.print(`Operation ${name} deleted`);
};
