import 'reflect-metadata';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StateDirectory } from '#kernel';
import { AgentChannel } from '#platform/rpc';
import { PinoLogger } from '../../apps/daemon/src/pino.logger.js';
import { startApi } from '../../apps/daemon/src/api.js';
import { fakeBindings } from './bindings.js';

/** `npm run dev`: the whole daemon on a host in memory, in one process and without root. Everything is gone when it ends. */
const root = mkdtempSync(join(tmpdir(), 'roost-dev-'));
const state = new StateDirectory(root);
for (const directory of [state.database, state.uploads, state.backups, state.images, state.run]) mkdirSync(directory, { recursive: true });
const stopped = Promise.withResolvers<void>();
const running = await startApi({
  state, logger: new PinoLogger('info', ''), channel: new AgentChannel(state.agentSocket), group: '', socketPath: state.socket,
  requestShutdown: async () => stopped.resolve(), ports: fakeBindings(state),
});
await running.startUp();
console.log(`\nA Roost on a fake host. In another terminal:\n\n    export LXD_DIR=${root}\n    lxc list\n\nCtrl-C ends it.\n`);
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopped.resolve());
await stopped.promise;
await running.close();
rmSync(root, { recursive: true, force: true });
process.exit(0);
