import { describe, it } from 'vitest';
import { same, type CompareOptions } from './compare.js';
import type { Pair } from './pair.js';

/** One test for each command, in order, on both daemons; empty lines and those that begin with `#` are for the reader. */
export function lines(pair: Pair, title: string, commands: string, options: CompareOptions): void {
  describe(title, () => {
    for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))) {
      it(command, () => { same(pair.roost, pair.lxd, command, options); });
    }
  });
}

/** Times that were measured, ids, and what is allotted from the host's ranges; times that were asked for stay. */
export const instanceMasks: CompareOptions = {
  normalise: (text) => text.replace(/^ +/gm, ' ').trim()
    .replaceAll(/\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| UTC)/g, (time) => (/^(0001|20[3-9])/.test(time) ? time : '<time>'))
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>').replaceAll(/"Hostid":\d+/g, '"Hostid":<id>').replaceAll(/"Maprange":\d+/g, '"Maprange":<n>')
    // Roost mounts with an id map and shifts nothing.
    .replaceAll(/("?volatile\.last_state\.idmap"?: )(".*"|'.*')/g, '$1<idmap>').replaceAll(/("size": )-?\d+/g, '$1<n>'),
};
