import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FunctionSettings, IpBatch } from '#host';
import { InfinibandLinks, wholeAddress } from './infiniband-links.js';
import { VirtualFunctions } from './virtual-functions.js';

/**
 * Kernel files of two cards, as far as they are read: one of Ethernet with two functions of three enabled, one of InfiniBand with two. What is asked of
 * `ip` is what LXD 5.0.2 asked of it for the same files.
 */
const pci = 'sys/bus/pci/devices';
const links: Readonly<Record<string, { slot: string; type: string }>> = {
  enp5s0: { slot: '0000:05:00.0', type: '1' }, enp5s0v0: { slot: '0000:05:10.0', type: '1' }, enp5s0v1: { slot: '0000:05:10.2', type: '1' },
  ib0: { slot: '0000:06:00.0', type: '32' }, ib1: { slot: '0000:06:00.1', type: '32' }, ib2: { slot: '0000:06:00.2', type: '32' },
};
const functions: Readonly<Record<string, string>> = {
  [`${pci}/0000:05:00.0/virtfn0`]: '../0000:05:10.0', [`${pci}/0000:05:00.0/virtfn1`]: '../0000:05:10.2',
  [`${pci}/0000:06:00.0/virtfn0`]: '../0000:06:00.1', [`${pci}/0000:06:00.0/virtfn1`]: '../0000:06:00.2',
};

let root: string;
let said: string[];
const file = (path: string, text: string): void => {
  mkdirSync(dirname(`${root}/${path}`), { recursive: true });
  writeFileSync(`${root}/${path}`, `${text}\n`);
};
const link = (name: string, { slot, type }: { slot: string; type: string }): void => {
  for (const [key, text] of Object.entries({ type, dev_id: '0x0', dev_port: '0' })) file(`sys/class/net/${name}/${key}`, text);
  file(`${pci}/${slot}/net/${name}/type`, type);
  file(`${pci}/${slot}/driver/unbind`, '');
  symlinkSync(`${root}/${pci}/${slot}`, `${root}/sys/class/net/${name}/device`);
};

beforeEach(() => {
  [root, said] = [mkdtempSync(join(tmpdir(), 'roost-functions-')), []];
  for (const [name, at] of Object.entries(links)) link(name, at);
  for (const [path, target] of Object.entries(functions)) symlinkSync(target, `${root}/${path}`);
  for (const slot of ['0000:05:00.0', '0000:06:00.0']) {
    file(`${pci}/${slot}/sriov_numvfs`, '2');
    file(`${pci}/${slot}/sriov_totalvfs`, slot === '0000:05:00.0' ? '3' : '2');
  }
  for (const [name, dev] of [['infiniband_mad/issm1', '231:65'], ['infiniband_mad/umad1', '231:1'], ['infiniband_verbs/uverbs1', '231:193']]) file(`${pci}/0000:06:00.1/${name}/dev`, dev!);
  file('sys/bus/pci/drivers_probe', '');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const none: ReadonlySet<string> = new Set();
const settings: FunctionSettings[] = [{ id: 0, hwaddr: '3e:f1:00:00:00:01', vlan: 12, spoofcheck: true }];
const record = async (batch: IpBatch): Promise<void> => { said.push(...batch.text().trimEnd().split('\n').filter((line) => line !== '')); };
const card = () => new VirtualFunctions({ apply: record, applyAll: record, listFunctions: async () => settings }, `${root}/sys`);
const written = (path: string): string => readFileSync(`${root}/${path}`, 'utf8').trim();

describe('VirtualFunctions', () => {
  it('takes the first that is free, and has the card make more when none is', async () => {
    expect(await card().free('enp5s0', none)).toEqual({ id: 0, link: 'enp5s0v0' });
    expect(await card().free('enp5s0', new Set(['enp5s0v0']))).toEqual({ id: 1, link: 'enp5s0v1' });
    expect(said).toEqual(['link set dev enp5s0 up', 'link set dev enp5s0 up']);
    expect(written(`${pci}/0000:05:00.0/sriov_numvfs`)).toBe('2');

    setTimeout(() => {
      link('enp5s0v2', { slot: '0000:05:10.4', type: '1' });
      symlinkSync('../0000:05:10.4', `${root}/${pci}/0000:05:00.0/virtfn2`);
    }, 20);
    expect(await card().free('enp5s0', new Set(['enp5s0v0', 'enp5s0v1']))).toEqual({ id: 2, link: 'enp5s0v2' });
    expect(written(`${pci}/0000:05:00.0/sriov_numvfs`)).toBe('3');
    await expect(card().free('enp5s0', new Set(['enp5s0v0', 'enp5s0v1', 'enp5s0v2']))).rejects.toThrow('All virtual functions on parent device "enp5s0" are already in use');
    expect(() => card().check('ib9')).toThrow('Parent device "ib9" doesn\'t support SR-IOV');
  });

  it('leaves functions of the card\'s other port alone', async () => {
    file('sys/class/net/enp5s0v0/dev_port', '1');
    expect(await card().free('enp5s0', none)).toEqual({ id: 1, link: 'enp5s0v1' });
  });

  it('has the card treat it so, and as before', async () => {
    const lent = await card().describe('enp5s0', 0);
    expect(lent).toEqual({ parent: 'enp5s0', id: 0, slot: '0000:05:10.0', hwaddr: '3e:f1:00:00:00:01', vlan: 12, spoofcheck: true });

    expect(await card().setUp(lent, 'enp5s0v0', 'e2:af:4f:17:62:42', { vlan: '7' }, true)).toBe('enp5s0v0');
    expect(said.splice(0)).toEqual(['link set dev enp5s0 vf 0 vlan 7', 'link set dev enp5s0 vf 0 mac e2:af:4f:17:62:42', 'link set dev enp5s0 vf 0 spoofchk on']);
    expect([written(`${pci}/0000:05:10.0/driver/unbind`), written('sys/bus/pci/drivers_probe')]).toEqual(['0000:05:10.0', '0000:05:10.0']);
    await card().setUp(lent, 'enp5s0v0', 'e2:af:4f:17:62:42', { hwaddr: '00:16:3e:00:00:01' }, true);
    expect(said.splice(0)[0]).toBe('link set dev enp5s0 vf 0 mac 00:16:3e:00:00:01');
    await card().setUp(lent, 'enp5s0v0', 'e2:af:4f:17:62:42', { hwaddr: '00:16:3e:00:00:01' }, false);
    expect(said.splice(0)).toEqual(['link set dev enp5s0 vf 0 mac 00:00:00:00:00:00', 'link set dev enp5s0 vf 0 spoofchk off']);

    await card().restore(lent, 'enp5s0v0');
    expect(said).toEqual(['link set dev enp5s0 vf 0 vlan 12', 'link set dev enp5s0 vf 0 spoofchk on', 'link set dev enp5s0 vf 0 mac 3e:f1:00:00:00:01']);
  });

  it('binds the driver again whatever the card refuses', async () => {
    const refusing = new VirtualFunctions({ apply: async () => { throw new Error('RTNETLINK answers: Operation not supported'); }, applyAll: record, listFunctions: async () => settings }, `${root}/sys`);

    await expect(refusing.setUp(await card().describe('enp5s0', 0), 'enp5s0v0', '', { vlan: '7' }, false)).rejects.toThrow('Operation not supported');
    expect(written('sys/bus/pci/drivers_probe')).toBe('0000:05:10.0');
  });
});

describe('InfinibandLinks', () => {
  const infiniband = () => new InfinibandLinks(`${root}/sys`);

  it('knows its links and their nodes', () => {
    infiniband().check('ib0');
    expect(() => infiniband().check('enp5s0')).toThrow('Specified infiniband device "enp5s0" not found');
    expect(infiniband().nodes('ib1')).toEqual([{ name: 'issm1', major: 231, minor: 65 }, { name: 'umad1', major: 231, minor: 1 }, { name: 'uverbs1', major: 231, minor: 193 }]);
  });

  it('finds functions nobody has', () => {
    expect([infiniband().free('ib0', none), infiniband().free('ib0', new Set(['ib1']))]).toEqual(['ib1', 'ib2']);
    expect(() => infiniband().free('ib0', new Set(['ib1', 'ib2']))).toThrow('All virtual functions on parent device are already in use');
  });

  it('completes the address of a port', () => {
    const whole = '80:00:02:08:fe:80:00:00:00:00:00:00:f4:52:14:03:00:7b:cb:a1';
    expect(wholeAddress(whole, '')).toBe(whole);
    expect(wholeAddress('a0:00:02:20:fe:80:00:01', whole)).toBe('80:00:02:08:fe:80:00:00:00:00:00:00:a0:00:02:20:fe:80:00:01');
    expect(() => wholeAddress('a0:00:02:20:fe:80:00:01', '00:16:3e:00:00:01')).toThrow('Invalid length');
  });
});
