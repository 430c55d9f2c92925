import { createSocket } from 'node:dgram';

const bootRequest = 1;
const ethernet = 1;
const magicCookie = 0x63825363;
const serverPort = 67;
const option = { messageType: 53, serverId: 54, clientId: 61, end: 255 } as const;
const releaseMessage = 7;

/** An IPv4 lease to give back on behalf of a client that is gone. */
export interface LeaseRelease {
  readonly hwaddr: string;
  readonly address: string;
  readonly serverAddress: string;
  /** As the lease file has it: hex bytes with colons, `*` for none. */
  readonly clientId: string;
}

/** A DHCPRELEASE (RFC 2131, 4.4.4) as the client would send it. */
export function releasePacket({ hwaddr, address, serverAddress, clientId }: LeaseRelease): Buffer {
  const packet = Buffer.alloc(300);
  const mac = hexBytes(hwaddr);
  packet.set([bootRequest, ethernet, mac.length]);
  packet.writeUInt32BE(Math.floor(Math.random() * 0xffffffff), 4);
  packet.set(dottedBytes(address), 12);
  packet.set(mac, 28);
  packet.writeUInt32BE(magicCookie, 236);
  const client = clientId === '*' || clientId === '' ? [] : hexBytes(clientId);
  const server = dottedBytes(serverAddress);
  packet.set([
    option.messageType, 1, releaseMessage, option.serverId, server.length, ...server,
    ...(client.length === 0 ? [] : [option.clientId, client.length, ...client]), option.end,
  ], 240);
  return packet;
}

/** Sends it to the network's own dnsmasq; there is no answer to wait for. */
export async function sendRelease(release: LeaseRelease): Promise<void> {
  const socket = createSocket('udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.send(releasePacket(release), serverPort, release.serverAddress, (error) => (error ? reject(error) : resolve()));
    });
  } finally {
    socket.close();
  }
}

function hexBytes(text: string): number[] {
  return text.split(':').map((byte) => Number.parseInt(byte, 16));
}

function dottedBytes(text: string): number[] {
  return text.split('.').map(Number);
}
