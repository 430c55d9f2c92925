import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SilentLogger, StateDirectory } from '#kernel';
import { AgentChannel, AgentServer } from '#platform/rpc';
import { AgentSupervisor, namespaceInode } from './agent-supervisor.js';

const ours = { pid: 0, protocol: 2, build: 'new', stateId: 's', mountNamespace: namespaceInode('mnt'), networkNamespace: namespaceInode('net') };

describe('an agent that was found', () => {
  let state: StateDirectory;
  let channel: AgentChannel;
  let supervisor: AgentSupervisor;
  const servers: AgentServer[] = [];
  let shutdowns = 0;

  beforeEach(() => {
    shutdowns = 0;
    state = new StateDirectory(mkdtempSync(join(tmpdir(), 'roost-supervise-')));
    mkdirSync(dirname(state.agentSocket), { recursive: true });
    channel = new AgentChannel(state.agentSocket);
    // What would start an agent starts nothing: the successor is the test's.
    supervisor = supervise(['true']);
  });
  afterEach(async () => {
    await supervisor.stop();
    channel.close();
    for (const server of servers.splice(0)) await server.close(0);
    rmSync(state.root, { recursive: true, force: true });
  });

  function supervise(argv: string[]): AgentSupervisor {
    return new AgentSupervisor({ state, channel, logger: new SilentLogger(), argv, logFile: '/dev/null', build: 'new', mayStart: true });
  }

  async function agent(identity: typeof ours): Promise<void> {
    const server = new AgentServer(new SilentLogger());
    servers.push(server);
    const shutdown = async () => {
      shutdowns++;
      setImmediate(() => void server.close(0).then(() => sleep(50)).then(() => (shutdowns === 1 ? agent(ours) : undefined)));
      return {};
    };
    server.addService('Host', { unary: { hello: async () => identity, shutdown } } as never);
    await server.listen(state.agentSocket, 0o600);
  }

  it('is kept when it is of this build and lives where the daemon does', async () => {
    await agent(ours);
    await supervisor.start();

    expect(shutdowns).toBe(0);
  });

  it.each([['another build', { build: 'old' }], ['another mount namespace', { mountNamespace: 1 }], ['another network namespace', { networkNamespace: 1 }]])('is replaced when it is of %s', async (_what, difference) => {
    await agent({ ...ours, ...difference });
    await supervisor.start();

    expect(shutdowns).toBe(1);
    expect(await channel.call('Host', 'hello', {})).toMatchObject({ build: 'new', mountNamespace: ours.mountNamespace });
  });

  it('is ended with the daemon when it does not listen yet', async () => {
    const mark = join(state.root, 'pid');
    supervisor = supervise(['sh', '-c', `echo $$ >${mark}.new; mv ${mark}.new ${mark}; exec sleep 60`]);
    await supervisor.prestart();
    await expect.poll(() => existsSync(mark)).toBe(true);
    await supervisor.stop();

    expect(existsSync(`/proc/${readFileSync(mark, 'utf8').trim()}`)).toBe(false);
  });
});
