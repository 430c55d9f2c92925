import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { longUtc } from '../../output/times.js';
import { url } from '../../server.js';

interface Warning {
  readonly uuid: string;
  readonly type: string;
  readonly status: string;
  readonly severity: string;
  readonly count: number;
  readonly project: string;
  readonly location: string;
  readonly first_seen_at: string;
  readonly last_seen_at: string;
  readonly last_message: string;
}

const columns: Readonly<Record<string, readonly [string, (warning: Warning) => string]>> = {
  c: ['COUNT', (one) => String(one.count)],
  l: ['LAST SEEN', (one) => longUtc(one.last_seen_at)],
  L: ['LOCATION', (one) => one.location],
  f: ['FIRST SEEN', (one) => longUtc(one.first_seen_at)],
  p: ['PROJECT', (one) => one.project],
  s: ['SEVERITY', (one) => one.severity.toUpperCase()],
  S: ['STATUS', (one) => one.status.toUpperCase()],
  u: ['UUID', (one) => one.uuid],
  t: ['TYPE', (one) => one.type],
};

export const list: Run = async (invocation) => {
  const server = await invocation.serverOf(invocation.arg(0));
  const asked = invocation.flags.text('columns');
  const letters: string[] = [];
  for (const word of asked.split(',')) {
    if (word === '') throw invalid(`Empty column entry (redundant, leading or trailing command) in '${asked}'`);
    for (const letter of word) {
      if (letter === 'L' && !server.clustered) {
        if (asked !== 'utSscpLl') throw invalid("Can't specify column L when not clustered");
        continue;
      }
      if (columns[letter] === undefined) throw invalid(`Unknown column shorthand char '${letter}' in '${word}'`);
      letters.push(letter);
    }
  }
  const all = await server.get<Warning[]>(url(['warnings'], { recursion: 1 }));
  const shown = invocation.flags.bool('all') ? all : all.filter((one) => one.status.toLowerCase() !== 'resolved');
  invocation.printList(letters.map((letter) => columns[letter]![0]), sortRows(shown.map((one) => letters.map((letter) => columns[letter]![1](one)))), shown);
};

export const show: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  invocation.printYaml(await server.get(url(['warnings', name])));
};

export const acknowledge: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  await server.api.call('PUT', url(['warnings', name]), { body: { status: 'acknowledged' } });
};

export const remove: Run = async (invocation) => {
  const all = invocation.flags.bool('all');
  if (!all && invocation.args.length === 0) return invocation.printHelp();
  const { server, name } = await invocation.place(invocation.arg(0));
  if (!all && name === '') throw invalid('Specify a warning UUID or use --all');
  if (all && name !== '') throw invalid('No need to specify a warning UUID when using --all');
  if (!all) return void await server.api.call('DELETE', url(['warnings', name]));
  for (const warning of await server.get<Warning[]>(url(['warnings'], { recursion: 1 }))) await server.api.call('DELETE', url(['warnings', warning.uuid]));
};
