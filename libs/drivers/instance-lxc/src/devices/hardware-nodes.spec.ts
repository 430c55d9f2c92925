import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CommandRunner, NvidiaCards, parseUevent } from '#host';
import type { InstanceSpec } from '#ports';
import { gpuNodes } from './gpu-nodes.js';
import { GpuSlices } from './gpu-slices.js';
import { hotplugNodes, usbNodes } from './usb-nodes.js';

/** Kernel files of machines that have such hardware, as far as they are read: a USB serial adapter, a USB disk, a graphics card with NVIDIA's driver. */
const serial = 'devices/pci0000:00/0000:00:14.0/usb1/1-2';
const disk = 'devices/pci0000:00/0000:00:14.0/usb2/2-1';
const card = 'devices/pci0000:00/0000:00:01.0/0000:01:00.0';
const other = 'devices/pci0000:00/0000:00:02.0';
const files: Readonly<Record<string, string>> = {
  [`sys/${serial}/idVendor`]: '0403\n', [`sys/${serial}/idProduct`]: '6001\n', [`sys/${serial}/busnum`]: '1\n', [`sys/${serial}/devnum`]: '5\n', [`sys/${serial}/dev`]: '189:4\n',
  [`sys/${serial}/uevent`]: 'MAJOR=189\nMINOR=4\nDEVNAME=bus/usb/001/005\nDEVTYPE=usb_device\n',
  [`sys/${serial}/1-2:1.0/ttyUSB0/tty/ttyUSB0/uevent`]: 'MAJOR=188\nMINOR=0\nDEVNAME=ttyUSB0\n',
  [`sys/${disk}/idVendor`]: '0951\n', [`sys/${disk}/idProduct`]: '1666\n', [`sys/${disk}/busnum`]: '2\n', [`sys/${disk}/devnum`]: '12\n', [`sys/${disk}/dev`]: '189:139\n',
  [`sys/${disk}/uevent`]: 'DEVNAME=bus/usb/002/012\n',
  [`sys/${disk}/2-1:1.0/host4/target4:0:0/4:0:0:0/block/sdb/uevent`]: 'MAJOR=8\nMINOR=16\nDEVNAME=sdb\nDEVTYPE=disk\n',
  'sys/devices/virtual/mem/zero/uevent': 'MAJOR=1\nMINOR=5\nDEVNAME=zero\n',
  [`sys/${card}/vendor`]: '0x10de\n', [`sys/${card}/device`]: '0x1eb8\n', [`sys/${card}/drm/card0/dev`]: '226:0\n', [`sys/${card}/drm/renderD128/dev`]: '226:128\n',
  'proc/driver/nvidia/gpus/0000:01:00.0/information': 'Model: \t\t Tesla T4\nGPU UUID: \t GPU-1a2b3c4d-0000-1111-2222-333344445555\nBus Location: \t 0000:01:00.0\nDevice Minor: \t 0\n',
  'proc/driver/nvidia/capabilities/gpu0/mig/gi1/ci0/access': 'DeviceFileMinor: 12\n',
  [`sys/${other}/vendor`]: '0x8086\n', [`sys/${other}/device`]: '0x3e92\n', [`sys/${other}/drm/card1/dev`]: '226:1\n',
};
const links: Readonly<Record<string, string>> = {
  'sys/bus/usb/devices/1-2': serial, 'sys/bus/usb/devices/2-1': disk, 'sys/bus/usb/devices/1-2:1.0': `${serial}/1-2:1.0`,
  'sys/dev/char/188:0': `${serial}/1-2:1.0/ttyUSB0/tty/ttyUSB0`, 'sys/dev/char/189:4': serial, 'sys/dev/char/1:5': 'devices/virtual/mem/zero',
  'sys/dev/block/8:16': `${disk}/2-1:1.0/host4/target4:0:0/4:0:0:0/block/sdb`, 'sys/class/drm/card0': `${card}/drm/card0`, [`sys/${card}/drm/card0/device`]: card,
  'sys/class/drm/card1': `${other}/drm/card1`, [`sys/${other}/drm/card1/device`]: other, 'sys/bus/pci/devices/0000:01:00.0': card, 'sys/bus/pci/devices/0000:00:02.0': other,
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'roost-hardware-'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(`${root}/${path}`), { recursive: true });
    writeFileSync(`${root}/${path}`, text);
  }
  for (const [path, target] of Object.entries(links)) {
    mkdirSync(dirname(`${root}/${path}`), { recursive: true });
    symlinkSync(`${root}/sys/${target}`, `${root}/${path}`);
  }
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const device = (config: Record<string, string>) => ({ name: 'd', config });

describe('usbNodes', () => {
  it('finds USB devices by their ids, or all', () => {
    const paths = (config: Record<string, string>) => usbNodes(device(config), `${root}/sys`).map(({ path, major, minor }) => `${path} ${major}:${minor}`);

    expect(paths({ vendorid: '0403', productid: '6001' })).toEqual(['/dev/bus/usb/001/005 189:4']);
    expect(paths({})).toEqual(['/dev/bus/usb/001/005 189:4', '/dev/bus/usb/002/012 189:139']);
    expect(paths({ vendorid: '0403', productid: 'ffff' })).toEqual([]);
    expect(usbNodes(device({ vendorid: '0951', mode: '0666', uid: '3' }), `${root}/sys`)).toMatchObject([{ mode: 0o666, uid: 3, gid: 0, kind: 'c' }]);
  });
});

describe('hotplugNodes', () => {
  it('finds what drivers made of USB devices, characters and blocks', () => {
    const nodes = (config: Record<string, string>) => hotplugNodes(device(config), `${root}/sys`).map(({ kind, path, major, minor }) => `${kind} ${path} ${major}:${minor}`);

    expect(nodes({ vendorid: '0403' })).toEqual(['c /dev/ttyUSB0 188:0']);
    expect(nodes({ productid: '1666' })).toEqual(['b /dev/sdb 8:16']);
    expect(nodes({ vendorid: '1234' })).toEqual([]);
    expect(hotplugNodes(device({ vendorid: '0403', mode: '0600', uid: '3', gid: '4' }), `${root}/sys`)).toMatchObject([{ mode: 0o600, uid: 3, gid: 4 }]);
  });
});

describe('gpuNodes', () => {
  it('finds the nodes of DRM and of NVIDIA', () => {
    const roots = { sysfs: `${root}/sys`, dev: `${root}/dev`, proc: `${root}/proc` };
    const nodes = (config: Record<string, string>) => gpuNodes(device(config), roots).map(({ path, major, minor }) => `${path} ${major}:${minor}`);
    const all = ['/dev/dri/card0 226:0', '/dev/dri/renderD128 226:128', '/dev/nvidia0 195:0'];

    expect(nodes({})).toEqual([...all.slice(0, 2), '/dev/nvidia0 195:0', '/dev/dri/card1 226:1']);
    for (const config of [{ id: '0' }, { vendorid: '10DE' }, { productid: '1eb8' }, { pci: '01:00.0' }, { pci: '0000:01:00.0' }] as Record<string, string>[]) expect(nodes(config)).toEqual(all);
    expect(gpuNodes(device({ id: '1', mode: '0666', uid: '3', gid: '4' }), roots)).toMatchObject([{ path: '/dev/dri/card1', mode: 0o666, uid: 3, gid: 4 }]);
    for (const config of [{ id: '2' }, { vendorid: '1002' }] as Record<string, string>[]) expect(() => nodes(config)).toThrow('Failed to detect requested GPU device');
    expect(() => nodes({ pci: '02:00.0' })).toThrow('Invalid PCI address (no device found): 0000:02:00.0');
  });
});

describe('GpuSlices', () => {
  const spec = (config: Record<string, string>): InstanceSpec => ({ config }) as unknown as InstanceSpec;
  const asked = (config: Record<string, string>, instance: Record<string, string> = { 'nvidia.runtime': 'true' }) =>
    new GpuSlices(new NvidiaCards(new CommandRunner()), { sysfs: `${root}/sys`, dev: `${root}/dev`, proc: `${root}/proc` }).prepare(spec(instance), device({ type: 'gpu', gputype: 'mig', ...config }));
  const old = { 'mig.gi': '1', 'mig.ci': '0' };

  it("names a slice to NVIDIA's hook, by its own id or by its card's", async () => {
    expect(await asked({ vendorid: '10de', ...old })).toEqual({ files: [], rules: [], nvidia: ['MIG-GPU-1a2b3c4d-0000-1111-2222-333344445555/1/0'] });
    expect((await asked({ id: '0', 'mig.uuid': '7f0c6a3e-5d2b-5b1e-9a2c-111122223333' })).nvidia).toEqual(['MIG-7f0c6a3e-5d2b-5b1e-9a2c-111122223333']);
    expect((await asked({ id: '0', 'mig.uuid': 'MIG-7f0c6a3e-5d2b-5b1e-9a2c-111122223333' })).nvidia).toEqual(['MIG-7f0c6a3e-5d2b-5b1e-9a2c-111122223333']);
  });

  it("refuses in LXD's words what is not there", async () => {
    await expect(asked(old, {})).rejects.toThrow('nvidia.runtime must be set to true for MIG GPUs to work');
    await expect(asked(old)).rejects.toThrow('More than one GPU matched the MIG device');
    await expect(asked({ pci: '05:00.0', ...old })).rejects.toThrow('Invalid PCI address (no device found): 0000:05:00.0');
    await expect(asked({ pci: '00:02.0', ...old })).rejects.toThrow("Card isn't a NVIDIA GPU or driver isn't properly setup");
    await expect(asked({ id: '0', 'mig.gi': '1', 'mig.ci': '7' })).rejects.toThrow("MIG device gi=1 ci=7 doesn't exist on GPU 0");
    await expect(asked({ id: '9', ...old })).rejects.toThrow('Failed to detect requested GPU device');
  });
});

describe('parseUevent', () => {
  it('reads the lines of the helper', () => {
    expect(parseUevent('add usb /devices/pci0000:00/0000:00:14.0/usb1/1-2')).toEqual({ action: 'add', subsystem: 'usb', path: '/devices/pci0000:00/0000:00:14.0/usb1/1-2' });
    expect(parseUevent('ready - -')).toBeNull();
  });
});
