import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LxcFixture, until, whyNoContainers } from '../support/lxc-fixture.js';
import { unmet } from '../support/needs.js';

const noSignal = new AbortController().signal;

/** A shell on the console, as a getty or askfirst leaves one. */
const init = '#!/bin/sh\nwhile :; do sh -i </dev/console >/dev/console 2>&1; done\n';

describe.skipIf(unmet('consoles of containers', whyNoContainers()))('the console of a container', () => {
  let fixture: LxcFixture;

  beforeEach(async () => {
    fixture = new LxcFixture();
    await fixture.open();
    const spec = await fixture.create('c1');
    writeFileSync(`${fixture.state.volume('p', 'container', 'c1')}/rootfs/sbin/init`, init);
    await fixture.host.instances.startInstance(spec);
  });
  afterEach(() => fixture.dispose());

  const attach = async () => {
    const { sessionId, terminalPath } = await fixture.host.exec.startConsole({ projectName: 'c1', width: 90, height: 33, endpointUid: 0, endpointGid: 0 });
    const socket = net.connect(terminalPath);
    const console = { sessionId, socket, text: '', exit: fixture.host.exec.waitExec(sessionId, noSignal) };
    console.exit.catch(() => {});
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => { console.text += chunk.toString(); });
    return console;
  };
  const log = async () => Buffer.from(await fixture.host.logs.readConsoleLog('c1')).toString();

  it('carries bytes both ways, has the size it was given, and is written to the log', async () => {
    const console = await attach();
    console.socket.write('echo he""llo; stty size\n');
    await until(() => /hello\r+\n33 90/.test(console.text));

    await fixture.host.exec.resizeExec(console.sessionId, 120, 50);
    console.socket.write('stty size\n');
    await until(() => console.text.includes('50 120'));
    expect(await log()).toMatch(/hello\r+\n33 90/);

    console.socket.destroy();
    expect(await console.exit).toBe(0);
  });

  it('is for one client at a time, and free again after each', async () => {
    const first = await attach();
    first.socket.write('echo fi""rst\n');
    await until(() => first.text.includes('first'));

    const second = await attach();
    await expect(second.exit).rejects.toMatchObject({ kind: 'internal', message: expect.stringContaining('Cannot attach to the console') });

    await fixture.host.exec.signalExec(first.sessionId, 1);
    expect(await first.exit).toBe(0);
    const third = await attach();
    third.socket.write('echo th""ird\n');
    await until(() => third.text.includes('third'));
    third.socket.destroy();
    await third.exit;
  });

  it('outlives the agent', async () => {
    const console = await attach();
    console.socket.write('echo be""fore\n');
    await until(() => console.text.includes('before'));

    await fixture.restartAgent();
    console.socket.write('echo af""ter\n');
    await until(() => console.text.includes('after'));
    const exit = fixture.host.exec.waitExec(console.sessionId, noSignal);
    console.socket.destroy();
    expect(await exit).toBe(0);
  });

  it('has a log of what it showed last, of bounded size, that can be emptied while it runs', async () => {
    const console = await attach();
    console.socket.write('seq 100001 130000; echo fin""ished\n');
    await until(() => console.text.includes('finished'), 60_000);
    // LXC's file has just been begun again, or not: what is shown goes back as far as its memory in any case.
    const shown = await log();
    expect(shown.length).toBeGreaterThan(100_000);
    expect(shown.length).toBeLessThanOrEqual(1024 * 1024);
    expect(shown).toContain('129990');

    await fixture.host.logs.clearConsoleLog('c1');
    await fixture.host.logs.clearConsoleLog('c1');
    expect(await log()).not.toContain('1299');
    console.socket.write('echo la""ter\n');
    await until(() => console.text.includes('later'));
    console.socket.destroy();
    await fixture.host.instances.stopInstance({ projectName: 'c1', clean: false, timeoutMs: 0 });
    expect(await log()).not.toContain('1299');
    expect(await log()).toContain('later');
  });

  it('ends with the container', async () => {
    const console = await attach();
    console.socket.write('echo he""re\n');
    await until(() => console.text.includes('here'));

    await fixture.host.instances.stopInstance({ projectName: 'c1', clean: false, timeoutMs: 0 });
    expect(await console.exit).toBe(0);
  });

  it('is not there without one', async () => {
    await fixture.host.instances.stopInstance({ projectName: 'c1', clean: false, timeoutMs: 0 });

    await expect(attach()).rejects.toMatchObject({ kind: 'conflict', message: 'Instance is not running' });
  });
});
