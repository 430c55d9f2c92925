import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { InstanceExecPost, Operation } from '#api-types';
import type { OperationHandle } from '#platform/operations';
import { InstanceLogFiles } from '../instance-logs.service.js';
import { InstanceStateChanges } from '../instance-state.service.js';
import { InstancesService } from '../instances.service.js';
import { anyTree, FakeMember, settled } from '../testing/fake-member.js';
import { InstanceExec } from './instance-exec.service.js';

let member: FakeMember;
const open: WebSocket[] = [];
beforeAll(async () => {
  member = await FakeMember.start();
  await member.create('c1', { config: { 'environment.E': 'x' } });
  await settled(await member.get(InstanceStateChanges).change(member.ctx(), await instance(), { action: 'start' }));
  await member.listen();
});
afterAll(() => member.close());
afterEach(() => { for (const socket of open.splice(0)) socket.terminate(); });

const instance = () => member.get(InstancesService).get('default', 'c1', anyTree);
const exec = async (body: InstanceExecPost) => member.get(InstanceExec).exec(member.ctx(), await instance(), body);

interface Channel {
  readonly socket: WebSocket;
  /** Everything received, an empty text frame as `<end>`. */
  received: string;
  readonly closed: Promise<void>;
}

async function connect(handle: OperationHandle, name: string, secret = fds(handle)[name]!): Promise<Channel> {
  const socket = new WebSocket(`ws+unix:${member.host.state.socket}:/1.0/operations/${handle.id}/websocket?secret=${secret}`);
  open.push(socket);
  const channel: Channel = { socket, received: '', closed: new Promise((resolve) => socket.once('close', () => resolve())) };
  socket.on('message', (data: Buffer, isBinary: boolean) => { channel.received += isBinary ? data.toString() : '<end>'; });
  await new Promise<void>((resolve, reject) => { socket.once('open', () => resolve()); socket.once('error', reject); });
  return channel;
}

function fds(handle: OperationHandle): Record<string, string> {
  return handle.api().metadata?.['fds'] as Record<string, string>;
}

async function ended(handle: OperationHandle): Promise<Operation> {
  return handle.wait(5000);
}

describe('exec with websockets', () => {
  const command = (argv: string[], rest: InstanceExecPost = {}) => exec({ command: argv, 'wait-for-websocket': true, ...rest });

  it('says what it runs and how to connect', async () => {
    const handle = await command(['true'], { environment: { A: '1' }, user: 7 });

    expect(handle.api()).toMatchObject({ class: 'websocket', description: 'Executing command', may_cancel: false });
    expect(handle.api().metadata).toMatchObject({ command: ['true'], interactive: false, environment: { A: '1', E: 'x', LANG: 'C.UTF-8' } });
    expect(Object.keys(fds(handle))).toEqual(['0', '1', '2', 'control']);
    expect(fds(handle)['0']).toMatch(/^[0-9a-f]{64}$/);
    for (const name of ['0', '1', '2']) await connect(handle, name);
    expect((await ended(handle)).metadata).toMatchObject({ return: 0 });
  });

  it('needs no control channel, ends each output with an empty text frame, and closes', async () => {
    const handle = await command(['echo', 'hello']);
    const [stdin, stdout, stderr] = await Promise.all(['0', '1', '2'].map((name) => connect(handle, name)));

    expect((await ended(handle)).metadata).toMatchObject({ return: 0 });
    await Promise.all([stdin!.closed, stdout!.closed, stderr!.closed]);
    expect([stdout!.received, stderr!.received]).toEqual(['hello\n<end>', '<end>']);
    expect(member.seen).toContain('instance-exec /1.0/instances/c1');
  });

  it.each([['a text frame', (socket: WebSocket) => socket.send('')], ['a close', (socket: WebSocket) => socket.close()]])('takes %s for the end of input', async (_, end) => {
    const handle = await command(['cat']);
    const [stdin, stdout] = await Promise.all(['0', '1', '2'].map((name) => connect(handle, name)));
    stdin!.socket.send(Buffer.from('in'));
    end(stdin!.socket);

    await ended(handle);
    await stdout!.closed;
    expect(stdout!.received).toBe('in<end>');
  });

  it('passes signals and sizes on', async () => {
    const handle = await command(['sleep', '9'], { interactive: true });
    const control = await connect(handle, 'control');
    await connect(handle, '0');
    await expect.poll(() => member.host.exec.requests.at(-1)?.command).toEqual(['sleep', '9']);
    const session = `exec-${member.host.exec.requests.length}`;
    control.socket.send('not json');
    control.socket.send(JSON.stringify({ command: 'window-resize', args: { width: '100', height: '40' } }));
    await expect.poll(() => member.host.exec.trace(session).sizes).toEqual(['100x40']);
    control.socket.send(JSON.stringify({ command: 'signal', signal: 15 }));

    expect((await ended(handle)).metadata).toMatchObject({ return: 143 });
  });

  it('kills the command when its control channel breaks', async () => {
    const handle = await command(['sleep', '9']);
    const control = await connect(handle, 'control');
    for (const name of ['0', '1', '2']) await connect(handle, name);
    await expect.poll(() => member.host.exec.requests.at(-1)?.command).toEqual(['sleep', '9']);
    control.socket.terminate();

    expect((await ended(handle)).metadata).toMatchObject({ return: 137 });
  });

  it('refuses wrong and used secrets', async () => {
    const handle = await command(['true']);
    await expect(connect(handle, '0', 'zz')).rejects.toThrow('500');
    await connect(handle, '0');
    await expect(connect(handle, '0')).rejects.toThrow('500');
    for (const name of ['1', '2']) await connect(handle, name);
    await ended(handle);
  });

  it('says that a command is not there', async () => {
    const handle = await command(['nonexist']);
    for (const name of ['0', '1', '2']) await connect(handle, name);

    expect(await ended(handle)).toMatchObject({ status: 'Failure', err: 'Command not found', metadata: { return: 127 } });
  });

  it('carries many megabytes, and many commands at once', async () => {
    const bytes = await Promise.all(Array.from({ length: 12 }, async () => {
      const handle = await command(['zeros', '3000000']);
      const [, stdout] = await Promise.all(['0', '1', '2'].map((name) => connect(handle, name)));
      await ended(handle);
      await stdout!.closed;
      return stdout!.received.length;
    }));

    expect(new Set(bytes)).toEqual(new Set([3_000_000 + '<end>'.length]));
  });
});

describe('exec without websockets', () => {
  it('tells the exit code', async () => {
    const operation = await ended(await exec({ command: ['exit', '3'] }));
    expect(operation).toMatchObject({ class: 'task', status: 'Success', metadata: { return: 3 } });
  });

  it('records output where the logs are read', async () => {
    const { metadata } = await ended(await exec({ command: ['echo', 'kept'], 'record-output': true }));
    const output = metadata?.['output'] as Record<string, string>;
    const logs = member.get(InstanceLogFiles);

    expect(await logs.list(await instance())).toEqual([output['2'], output['1']]);
    const file = output['1']!.split('/').pop()!;
    const answer = (await logs.read(member.ctx(), await instance(), file)) as unknown as { body: AsyncIterable<Buffer> };
    let text = '';
    for await (const chunk of answer.body) text += chunk.toString();
    expect(text).toBe('kept\n');
    await logs.remove(member.ctx(), await instance(), file);
    expect(await logs.list(await instance())).toEqual([output['2']]);
  });

  it('has no terminal and no input, and no ends outside for output that nobody keeps', async () => {
    await ended(await exec({ command: ['true'], interactive: true }));
    expect(member.host.exec.requests.at(-1)).toMatchObject({ interactive: false, ends: 'none' });
    await ended(await exec({ command: ['true'], interactive: true, 'record-output': true }));
    expect(member.host.exec.requests.at(-1)).toMatchObject({ interactive: false, ends: 'output' });
  });

  it('refuses what does not run', async () => {
    await member.create('c2');
    const stopped = await member.get(InstancesService).get('default', 'c2', anyTree);
    await expect(member.get(InstanceExec).exec(member.ctx(), stopped, { command: ['true'] })).rejects.toThrow('Instance is not running');
  });
});
