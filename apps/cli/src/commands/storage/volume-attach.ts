import { invalid } from '#kernel';
import type { Run } from '../../invocation.js';
import { url } from '../../server.js';
import { writableInstance, type InstanceView } from '../instance-shape.js';
import { parseVolume, poolOf } from './volume-names.js';

type Owner = 'instance' | 'profile';
type Device = Record<string, string>;

function body(owner: Owner, value: InstanceView, devices: Record<string, Device>): unknown {
  return owner === 'instance' ? { ...writableInstance(value), devices } : { config: value.config, description: value.description, devices };
}

export const attach = (owner: Owner): Run => async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const [, source = '', name = '', ...more] = invocation.args;
  const { type, name: volume } = parseVolume(source);
  if (type !== 'custom') throw invalid('Only "custom" volumes can be attached to instances');
  // A single word more is the path of a file system; of a block volume there is none, so it is the device.
  const [deviceName, path] = more.length === 2 ? more : more.length === 1 ? (more[0]!.startsWith('/') ? [volume, more[0]] : [more[0], '']) : [volume, ''];
  const where = url([`${owner}s`, name]);
  if (owner === 'profile') await server.get(url(['storage-pools', pool, 'volumes', type, volume]));
  const { value, etag } = await server.fetch<InstanceView>(where);
  if (value.devices?.[deviceName!] !== undefined) throw invalid(`Device already exists: ${deviceName}`);
  const device: Device = { type: 'disk', pool, source: volume, ...(path === '' || path === undefined ? {} : { path }) };
  await invocation.run(server, 'PUT', where, body(owner, value, { ...value.devices, [deviceName!]: device }), '', { 'if-match': etag });
};

export const detach = (owner: Owner): Run => async (invocation) => {
  const { server, pool } = await poolOf(invocation);
  const [, source = '', name = '', named = ''] = invocation.args;
  const { name: volume } = parseVolume(source);
  const where = url([`${owner}s`, name]);
  const { value, etag } = await server.fetch<InstanceView>(where);
  const devices = { ...value.devices } as Record<string, Device>;
  const isIt = (device: Device): boolean => device['type'] === 'disk' && device['pool'] === pool && device['source'] === volume;
  const matching = Object.keys(devices).filter((key) => isIt(devices[key]!));
  if (named === '' && matching.length > 1) throw invalid('More than one device matches, specify the device name');
  const deviceName = named === '' ? matching[0] : named;
  if (deviceName === undefined) throw invalid('No device found for this storage volume');
  if (devices[deviceName] === undefined) throw invalid("The specified device doesn't exist");
  delete devices[deviceName];
  await invocation.run(server, 'PUT', where, body(owner, value, devices), '', { 'if-match': etag });
};
