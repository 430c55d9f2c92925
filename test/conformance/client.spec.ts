import { afterAll, beforeAll, describe, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { Pair } from '../support/pair.js';
import { clientScripts } from './client-scripts.js';

/**
 * The stock `lxc` client says the same of Roost and of real LXD, command by command: standard output, errors and exit codes. Each list runs
 * in order on both; where a difference is meant it stands in docs/differences.md, and the command is written so as not to show it.
 */
const pair = new Pair();

beforeAll(async () => {
  await pair.start();
  pair.prepare({ bridge: true });
});
afterAll(() => pair.destroy());

const options: CompareOptions = {
  normalise: (text) => text.replace(/^Try `lxc info --show-log .*\n?/gm, '').replace(/^ +/gm, ' ').trim().replaceAll('ctbr-r', '<br>').replaceAll('ctbr-l', '<br>').replaceAll(pair.image, '<image>'),
  env: (target) => ({ BR: pair.bridge(target), IMG: pair.image }),
};

describe.each(clientScripts)('%s', (_title, commands) => {
  for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))) {
    it(command, () => { same(pair.roost, pair.lxd, command, options); });
  }
});
