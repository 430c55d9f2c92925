import { chmodSync, existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandRunner } from '../command.js';
import { isAlive, type ProcessStamp } from '../proc/process-stamp.js';
import { parseTpmDevice, Swtpm } from './swtpm.js';

/** What swtpm 0.7 prints once the kernel has made its device. */
const recorded = 'New TPM device: /dev/tpm3 (major/minor = 252/3)\n';

describe('parseTpmDevice', () => {
  it('reads what swtpm says of its device', () => {
    expect(parseTpmDevice(recorded)).toEqual({ number: 3, device: { major: 252, minor: 3 } });
    expect(parseTpmDevice('swtpm: Could not open /dev/vtpmx: No such file or directory')).toBeNull();
  });
});

describe('Swtpm', () => {
  let root: string;
  let running: ProcessStamp | undefined;
  beforeEach(() => {
    [root, running] = [mkdtempSync(join(tmpdir(), 'roost-swtpm-')), undefined];
    mkdirSync(`${root}/sys/module/tpm_vtpm_proxy`, { recursive: true });
    mkdirSync(`${root}/sys/class/tpmrm/tpmrm3`, { recursive: true });
    writeFileSync(`${root}/sys/class/tpmrm/tpmrm3/dev`, '253:65539\n');
  });
  afterEach(() => {
    if (running !== undefined) emulator().stop(running);
    rmSync(root, { recursive: true, force: true });
  });
  const emulator = () => new Swtpm(new CommandRunner(), `${root}/sys`, `${root}/swtpm`);
  const setup = () => ({ stateDirectory: `${root}/state`, logFile: `${root}/log`, started: (process: ProcessStamp) => { running = process; } });
  /** A program in the place of the real one, which wants a kernel with /dev/vtpmx. */
  const install = (script: string): void => {
    writeFileSync(`${root}/swtpm`, `#!/bin/sh\n[ "$1" = --help ] && exit 0\necho "$@" > ${root}/words\n${script}\n`);
    chmodSync(`${root}/swtpm`, 0o755);
  };

  it('gives the numbers of its device and of the resource manager, and ends', async () => {
    install(`printf '${recorded.trim()}\\n'\nread forever < ${root}/never 2>/dev/null || while :; do sleep 1; done`);

    const tpm = await emulator().start(setup());

    expect(tpm).toMatchObject({ device: { major: 252, minor: 3 }, resourceManager: { major: 253, minor: 65_539 } });
    expect(readFileSync(`${root}/words`, 'utf8').trim()).toBe(`chardev --tpm2 --tpmstate dir=${root}/state --vtpm-proxy`);
    expect(emulator().find(`${root}/state`)).toEqual(tpm.process);
    emulator().stop(tpm.process);
    await expect.poll(() => isAlive(tpm.process)).toBe(false);
    expect(emulator().find(`${root}/state`)).toBeNull();
  });

  it('leaves no process where no device comes', async () => {
    install("echo 'swtpm: Could not open /dev/vtpmx' >&2; exit 1");

    await expect(emulator().start(setup())).rejects.toMatchObject({ message: 'Failed to get TPM device information', details: { said: 'swtpm: Could not open /dev/vtpmx' } });
    expect(isAlive(running!)).toBe(false);
  });

  it.each([
    ['a link in the place of the directory', () => { mkdirSync(`${root}/elsewhere`); symlinkSync('elsewhere', `${root}/state`); }, 'state" is not a directory of its own'],
    ['a link in it', () => { mkdirSync(`${root}/state`); symlinkSync('/etc/passwd', `${root}/state/TMP2-00.permall`); }, 'TMP2-00.permall" is not a plain file'],
    ['another name of a file', () => { mkdirSync(`${root}/state`); writeFileSync(`${root}/other`, ''); linkSync(`${root}/other`, `${root}/state/tpm2-00.permall`); }, 'tpm2-00.permall" is not a plain file'],
  ])('starts nothing that would follow %s', async (_, lay, words) => {
    install('exit 1');
    lay();

    await expect(emulator().start(setup())).rejects.toMatchObject({ kind: 'forbidden', message: expect.stringContaining(words) as string });
    expect([running, existsSync(`${root}/words`)]).toEqual([undefined, false]);
  });

  it('says what the host lacks', async () => {
    await expect(emulator().check()).rejects.toThrow("Required tool 'swtpm' is missing");
    install('');
    await emulator().check();
    if (existsSync('/sys/module/tpm_vtpm_proxy')) return;
    rmSync(`${root}/sys/module`, { recursive: true });
    await expect(emulator().check()).rejects.toThrow(/^Failed to load kernel module "tpm_vtpm_proxy": /);
  });
});
