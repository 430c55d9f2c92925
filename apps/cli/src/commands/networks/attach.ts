import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { url } from '../../server.js';
import { writableInstance, type InstanceView } from '../instance-shape.js';

type Owner = 'instance' | 'profile';
type Device = Record<string, string>;

function body(owner: Owner, value: InstanceView, devices: Record<string, Device>): unknown {
  return owner === 'instance' ? { ...writableInstance(value), devices } : { config: value.config, description: value.description, devices };
}

export const attach = (owner: Owner): Run => async (invocation) => {
  const { server, name: network } = await invocation.place(invocation.arg(0));
  if (network === '') throw invalid('Missing network name');
  // The name of the device is that of the network; with one, it is the interface's; with two, device and interface.
  const [, ownerName = '', first = '', second] = invocation.args;
  const deviceName = first === '' ? network : first;
  const interfaceName = second ?? (first === '' ? '' : first);
  const { managed, type } = await server.get<{ managed: boolean; type: string }>(url(['networks', network]));
  // Profiles get it as clients have always written it.
  const found: Device = managed && owner === 'instance' ? { type: 'nic', network } : { type: 'nic', nictype: type === 'bridge' ? 'bridged' : 'macvlan', parent: network };
  const device: Device = { ...found, ...(interfaceName === '' ? {} : { name: interfaceName }) };
  const path = url([`${owner}s`, ownerName]);
  const { value, etag } = await server.fetch<InstanceView>(path);
  if (value.devices?.[deviceName] !== undefined) throw invalid(`Device already exists: ${deviceName}`);
  await invocation.run(server, 'PUT', path, body(owner, value, { ...value.devices, [deviceName]: device }), '', { 'if-match': etag });
};

export const detach = (owner: Owner): Run => async (invocation) => {
  const { server, name: network } = await invocation.place(invocation.arg(0));
  if (network === '') throw invalid('Missing network name');
  const [, ownerName = '', named = ''] = invocation.args;
  const path = url([`${owner}s`, ownerName]);
  const { value, etag } = await server.fetch<InstanceView>(path);
  const devices = { ...value.devices } as Record<string, Device>;
  const isOn = (device: Device): boolean => device['type'] === 'nic' && (device['parent'] === network || device['network'] === network);
  const matching = Object.keys(devices).filter((name) => isOn(devices[name]!));
  if (named === '' && matching.length > 1) throw invalid('More than one device matches, specify the device name');
  const deviceName = named === '' ? matching[0] : named;
  if (deviceName === undefined) throw invalid('No device found for this network');
  const device = devices[deviceName];
  if (device === undefined) throw invalid("The specified device doesn't exist");
  if (!isOn(device)) throw invalid("The specified device doesn't match the network");
  delete devices[deviceName];
  await invocation.run(server, 'PUT', path, body(owner, value, devices), '', { 'if-match': etag });
};
