import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { InstanceConsolePost } from '#api-types';
import type { OperationHandle } from '#platform/operations';
import { InstanceStateChanges } from '../instance-state.service.js';
import { InstancesService } from '../instances.service.js';
import { anyTree, FakeMember, settled } from '../testing/fake-member.js';
import { InstanceConsole } from './instance-console.service.js';

let member: FakeMember;
const open: WebSocket[] = [];
beforeAll(async () => {
  member = await FakeMember.start();
  for (const name of ['c1', 'c2']) await member.create(name);
  await change('start');
  await member.listen();
});
afterAll(() => member.close());
afterEach(() => { for (const socket of open.splice(0)) socket.terminate(); });

const instance = (name = 'c1') => member.get(InstancesService).get('default', name, anyTree);
const change = async (action: string) => settled(await member.get(InstanceStateChanges).change(member.ctx(), await instance(), { action }));
const post = async (body: InstanceConsolePost = {}, name = 'c1') => member.get(InstanceConsole).attach(member.ctx(), await instance(name), body);

async function connect(handle: OperationHandle, name: '0' | 'control') {
  const metadata = handle.api().metadata as { fds: Record<string, string> };
  const secret = metadata.fds[name];
  const socket = new WebSocket(`ws+unix:${member.host.state.socket}:/1.0/operations/${handle.id}/websocket?secret=${secret}`);
  open.push(socket);
  const channel = { socket, received: '' };
  socket.on('message', (data: Buffer, isBinary: boolean) => { channel.received += isBinary ? data.toString() : '<end>'; });
  await new Promise<void>((resolve, reject) => { socket.once('open', () => resolve()); socket.once('error', reject); });
  return channel;
}

async function attached(body: InstanceConsolePost = {}) {
  const handle = await post(body);
  // In the client's order: the console is shown once the terminal is there.
  const control = await connect(handle, 'control');
  const terminal = await connect(handle, '0');
  await expect.poll(() => terminal.received).not.toBe('');
  return { handle, terminal, control };
}

describe('attaching to a console', () => {
  it('is an operation with two channels, and an event', async () => {
    const { handle, terminal } = await attached({ type: 'console', width: 80, height: 25 });

    expect(handle.api()).toMatchObject({ class: 'websocket', description: 'Showing console', status: 'Running', may_cancel: false });
    expect(Object.keys(handle.api().metadata?.['fds'] as object)).toEqual(['0', 'control']);
    expect(terminal.received).toBe('login: ');
    expect(member.seen).toContain('instance-console /1.0/instances/c1');
    terminal.socket.close();
    expect(await handle.wait(5000)).toMatchObject({ status: 'Success' });
  });

  it('ends when the control channel is closed', async () => {
    const { handle, control } = await attached();
    control.socket.close();

    expect(await handle.wait(5000)).toMatchObject({ status: 'Success' });
  });

  it('tells a second client that it is taken, and leaves the first alone', async () => {
    const first = await attached();
    const second = await attached();

    expect(await second.handle.wait(5000)).toMatchObject({ status: 'Failure', err: 'attaching to the container failed' });
    await expect.poll(() => second.terminal.received).toBe('Error: Failed running forkconsole: "attaching to the container failed"\n\r<end>');
    expect(first.handle.api()).toMatchObject({ status: 'Running' });
    first.terminal.socket.close();
    await first.handle.wait(5000);
  });

  it('is taken over by force', async () => {
    const first = await attached();
    const second = await attached({ force: true });

    expect(await first.handle.wait(5000)).toMatchObject({ status: 'Success' });
    expect(second.terminal.received).toBe('login: ');
    expect(second.handle.api()).toMatchObject({ status: 'Running' });
    second.terminal.socket.close();
    await second.handle.wait(5000);
  });

  it.each([
    ['an unknown type', { type: 'banana' }, 'c1', 'Unknown console type "banana"'],
    ['a screen', { type: 'vga' }, 'c2', 'VGA console is only supported by virtual machines'],
    ['a stopped instance', {}, 'c2', 'Instance is not running'],
  ])('is refused for %s', async (_, body, name, message) => {
    await expect(post(body, name)).rejects.toMatchObject({ kind: 'invalid', message });
  });

  it('is refused for a frozen instance', async () => {
    await change('freeze');
    await expect(post()).rejects.toMatchObject({ kind: 'invalid', message: 'Instance is frozen' });
    await change('unfreeze');
  });
});
