import type { EthtoolPort } from '#host';
import { foldVirtualFunctions, isVirtualFunction, withUnbound, type Card } from './card-functions.js';
import { cardFields, readDeviceFacts } from './device-facts.js';
import type { DeviceNames } from './device-names.js';
import { present, type Sysfs } from './sysfs.js';

const networkClass = 0x02;
const infinibandType = '32';

/** What drivers of interfaces are asked for; `Ethtool` in life. */
export interface PortFacts {
  port(name: string): EthtoolPort;
  firmwareVersion(name: string): string;
}

/** Network cards with their ports, and PCI cards of that class without a driver for networks. */
export async function readNetworkCards(sys: Sysfs, names: DeviceNames, ports: PortFacts): Promise<Record<string, unknown>> {
  const cards = new Map<string, { fields: Card; ports: Card[] }>();
  for (const name of await sys.names('/sys/class/net')) {
    const device = `/sys/class/net/${name}/device`;
    if (!(await sys.exists(device))) continue;
    const facts = await readDeviceFacts(sys, device, names);
    const key = facts.pciAddress || facts.usbAddress || name;
    const card = cards.get(key) ?? { fields: { ...cardFields(facts), ...present({ firmware_version: ports.firmwareVersion(name) }) }, ports: [] };
    card.ports.push(await readPort(sys, name, await isVirtualFunction(sys, facts.pciAddress), ports));
    cards.set(key, card);
  }
  const found = [...cards.values()].map((card): Card => ({ ...card.fields, ports: card.ports }));
  return withUnbound(sys, names, networkClass, await foldVirtualFunctions(sys, found));
}

/** The plug of a virtual function is the other card's business: its driver is not asked. */
async function readPort(sys: Sysfs, name: string, virtual: boolean, ports: PortFacts): Promise<Card> {
  const directory = `/sys/class/net/${name}`;
  const infiniband = (await sys.text(`${directory}/type`)) === infinibandType;
  const number = await sys.number(`${directory}/dev_port`);
  const link = virtual ? null : ports.port(name);
  return {
    id: name, ...present({ address: link?.permanentAddress || (await sys.text(`${directory}/address`)) }), port: number,
    protocol: infiniband ? 'infiniband' : 'ethernet',
    ...(link?.supportedModes.length ? { supported_modes: link.supportedModes } : {}), ...(link?.supportedPorts.length ? { supported_ports: link.supportedPorts } : {}),
    ...present({ port_type: link?.portType, transceiver_type: link?.transceiverType }),
    auto_negotiation: link?.autoNegotiation ?? false, link_detected: link?.linkDetected ?? false,
    ...present({ link_speed: link?.speed, link_duplex: link?.duplex }),
    ...(infiniband ? { infiniband: await infinibandFields(sys, `${directory}/device`, number) } : {}),
  };
}

/** Devices for user space of one port; `dev_port` counts from 0, and so do their names here. */
async function infinibandFields(sys: Sysfs, device: string, port: number): Promise<Card> {
  const fields = async (kind: 'issm' | 'mad' | 'verb', directory: string, prefix: string): Promise<Card> => {
    const names = (await sys.names(`${device}/${directory}`)).filter((name) => name.startsWith(prefix));
    const name = names[Math.min(port, names.length - 1)];
    return name === undefined ? {} : { [`${kind}_name`]: name, [`${kind}_device`]: await sys.text(`${device}/${directory}/${name}/dev`) };
  };
  return { ...(await fields('issm', 'infiniband_mad', 'issm')), ...(await fields('mad', 'infiniband_mad', 'umad')), ...(await fields('verb', 'infiniband_verbs', 'uverbs')) };
}
