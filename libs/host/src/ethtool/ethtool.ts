import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { openSocket } from '../syscalls/syscalls.js';
import { linkModes, portModes, portTypes } from './link-modes.js';

const libc = koffi.load('libc.so.6');
const nameBytes = 16;
/** struct ifreq with a pointer in its union. */
const request = koffi.struct({ name: koffi.array('uint8', nameBytes), data: 'void *', rest: koffi.array('uint8', nameBytes) });
const ethtoolIoctl = libc.func('ioctl', 'int', ['int', 'ulong', koffi.pointer(request)]);

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GDRVINFO = 0x03;
const ETHTOOL_GLINK = 0x0a;
const ETHTOOL_GPERMADDR = 0x20;
const ETHTOOL_GLINKSETTINGS = 0x4c;

const driverInfoBytes = 196;
const firmwareVersionAt = 68;
const textBytes = 32;
const linkSettingsBytes = 48;
const unknownSpeed = 0xffffffff;

/** What the driver of a network interface tells. Texts are empty and numbers 0 where it tells nothing. */
export interface EthtoolPort {
  /** The address burnt in, `00:16:3e:00:00:01`. */
  readonly permanentAddress: string;
  readonly supportedModes: string[];
  readonly supportedPorts: string[];
  readonly portType: string;
  /** `internal` or `external`. */
  readonly transceiverType: string;
  readonly autoNegotiation: boolean;
  readonly linkDetected: boolean;
  /** Mbit/s. */
  readonly speed: number;
  /** `half` or `full`. */
  readonly duplex: string;
}

/** The kernel's ethtool interface: a socket and an ioctl, no process.. */
export class Ethtool {
  port(name: string): EthtoolPort {
    return withSocket((fd) => {
      const link = ask(fd, name, command(ETHTOOL_GLINK, 8));
      return { permanentAddress: permanentAddress(fd, name), ...linkSettings(fd, name), linkDetected: link?.readUInt32LE(4) === 1 };
    });
  }

  firmwareVersion(name: string): string {
    const info = withSocket((fd) => ask(fd, name, command(ETHTOOL_GDRVINFO, driverInfoBytes)));
    return info?.toString('latin1', firmwareVersionAt, firmwareVersionAt + textBytes).replace(/\0.*$/s, '') ?? '';
  }
}

function permanentAddress(fd: number, name: string): string {
  const question = command(ETHTOOL_GPERMADDR, 8 + textBytes);
  question.writeUInt32LE(textBytes, 4);
  const answer = ask(fd, name, question);
  if (answer === null) return '';
  const length = Math.min(answer.readUInt32LE(4), textBytes);
  return [...answer.subarray(8, 8 + length)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** Asked twice, as linux/ethtool.h demands: first for the number of words in a set of modes, told as its negative. */
function linkSettings(fd: number, name: string): Omit<EthtoolPort, 'permanentAddress' | 'linkDetected'> {
  const words = -(ask(fd, name, command(ETHTOOL_GLINKSETTINGS, linkSettingsBytes))?.readInt8(15) ?? 0);
  const question = command(ETHTOOL_GLINKSETTINGS, linkSettingsBytes + Math.max(0, words) * 3 * 4);
  question.writeInt8(Math.max(0, words), 15);
  const answer = words > 0 ? ask(fd, name, question) : null;
  return answer === null ? silentSettings : decodeLinkSettings(answer);
}

const silentSettings = { supportedModes: [], supportedPorts: [], portType: '', transceiverType: '', autoNegotiation: false, speed: 0, duplex: '' };

/** struct ethtool_link_settings with its sets of modes behind it. */
export function decodeLinkSettings(answer: Buffer): Omit<EthtoolPort, 'permanentAddress' | 'linkDetected'> {
  const bits = answer.readInt8(15) * 32;
  const supported = Array.from({ length: bits }, (_, bit) => bit).filter((bit) => (answer.readUInt32LE(linkSettingsBytes + (bit >> 5) * 4) & (1 << (bit & 31))) !== 0);
  const named = (names: ReadonlyMap<number, string>): string[] => supported.map((bit) => names.get(bit)).filter((name) => name !== undefined);
  const speed = answer.readUInt32LE(4);
  return {
    supportedModes: named(linkModes), supportedPorts: named(portModes), portType: portTypes.get(answer.readUInt8(9)) ?? '',
    transceiverType: answer.readUInt8(16) === 0 ? 'internal' : 'external', autoNegotiation: answer.readUInt8(11) === 1,
    speed: speed === unknownSpeed ? 0 : speed, duplex: ['half', 'full'][answer.readUInt8(8)] ?? '',
  };
}

function command(number: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeUInt32LE(number);
  return buffer;
}

/** Null when the interface or its driver does not know the question. */
function ask(fd: number, name: string, question: Buffer): Buffer | null {
  const bytes = Buffer.alloc(nameBytes);
  bytes.write(name, 0, nameBytes - 1);
  const result = ethtoolIoctl(fd, SIOCETHTOOL, { name: bytes, data: question, rest: Buffer.alloc(nameBytes) }) as number;
  return result < 0 ? null : question;
}

function withSocket<T>(work: (fd: number) => T): T {
  const fd = openSocket(AF_INET, SOCK_DGRAM, 0);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}
