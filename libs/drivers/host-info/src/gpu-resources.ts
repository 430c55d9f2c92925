import { withUnbound, foldVirtualFunctions, type Card } from './card-functions.js';
import { cardFields, readDeviceFacts, type DeviceFacts } from './device-facts.js';
import type { DeviceNames } from './device-names.js';
import { present, type Sysfs } from './sysfs.js';

const displayClass = 0x03;

/** Graphics cards: those with a kernel driver for displays, and PCI cards of that class without one. */
export async function readGpus(sys: Sysfs, names: DeviceNames): Promise<Record<string, unknown>> {
  const cards = await Promise.all((await sys.names('/sys/class/drm')).filter((name) => /^card\d+$/.test(name)).map((name) => readGpu(sys, name, names)));
  return withUnbound(sys, names, displayClass, await foldVirtualFunctions(sys, cards.filter((card) => card !== null)));
}

async function readGpu(sys: Sysfs, name: string, names: DeviceNames): Promise<Card | null> {
  const device = `/sys/class/drm/${name}/device`;
  if (!(await sys.exists(device))) return null;
  const facts = await readDeviceFacts(sys, device, names);
  const nodes = await sys.names(`${device}/drm`);
  const render = nodes.find((node) => node.startsWith('renderD')) ?? '';
  const control = nodes.find((node) => node.startsWith('controlD')) ?? '';
  const numberOf = (node: string): Promise<string> => (node === '' ? Promise.resolve('') : sys.text(`${device}/drm/${node}/dev`));
  return {
    ...cardFields(facts),
    drm: {
      id: Number(name.slice(4)), card_name: name, card_device: await numberOf(name),
      ...present({ control_name: control, control_device: await numberOf(control), render_name: render, render_device: await numberOf(render) }),
    },
    ...(await nvidiaFields(sys, facts)),
    ...(await mediatedDevices(sys, device)),
  };
}

/** Profiles of virtual cards (mdev) the card can be cut into. */
async function mediatedDevices(sys: Sysfs, device: string): Promise<Record<string, unknown>> {
  const types = await sys.names(`${device}/mdev_supported_types`);
  if (types.length === 0) return {};
  const mdev = await Promise.all(types.map(async (type) => {
    const directory = `${device}/mdev_supported_types/${type}`;
    return [type, {
      api: await sys.text(`${directory}/device_api`), available: await sys.number(`${directory}/available_instances`),
      ...present({ name: await sys.text(`${directory}/name`), description: await sys.text(`${directory}/description`) }),
      devices: await sys.names(`${directory}/devices`),
    }] as const;
  }));
  return { mdev: Object.fromEntries(mdev) };
}

/** What NVIDIA's own driver shows in /proc; its tools would tell more, but are programs. */
async function nvidiaFields(sys: Sysfs, facts: DeviceFacts): Promise<Record<string, unknown>> {
  const text = await sys.text(`/proc/driver/nvidia/gpus/${facts.pciAddress || '-'}/information`);
  if (text === '') return {};
  const fields = new Map(text.split('\n').map((line) => line.split(/:\s*(.*)/s).map((part) => part.trim()) as [string, string]));
  const minor = fields.get('Device Minor');
  const version = /Kernel Module\s+(\S+)/.exec(await sys.text('/proc/driver/nvidia/version'))?.[1] ?? '';
  return {
    nvidia: present({
      nvrm_version: version, model: fields.get('Model') ?? '', uuid: fields.get('GPU UUID') ?? '',
      ...(minor === undefined ? {} : { card_name: `nvidia${minor}`, card_device: `195:${minor}` }),
    }),
  };
}
