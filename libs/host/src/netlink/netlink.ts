import { closeSync, openSync } from 'node:fs';
import { internal } from '#kernel';
import { systemCallError } from '../ioctl/ioctl.js';
import { inNetworkNamespace, openSocket, receiveBytes, sendBytes, setSocketOption } from '../syscalls/syscalls.js';
import {
  decodeAddress, decodeLink, IFF_UP, IFLA_ADDRESS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO, IFLA_MASTER, IFLA_MTU,
  IFLA_NET_NS_FD, linkHeaderBytes, macBytes, VETH_INFO_PEER, type NetlinkLink, type NetlinkAddress,
} from './links.js';
import {
  decodeMessages, encodeAttributes, encodeMessage, NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
  RTM_DELLINK, RTM_GETADDR, RTM_GETLINK, RTM_NEWLINK, type Attribute, type NetlinkMessage,
} from './netlink-message.js';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_ROUTE = 0;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;
const receiveTimeoutSeconds = 2;
const receiveBytesMax = 64 * 1024;
const sequence = 1;

export interface NamespaceNetwork {
  readonly links: NetlinkLink[];
  readonly addresses: NetlinkAddress[];
}

export interface NewVeth {
  readonly hostName: string;
  /** Name of the other end, in the network namespace of process `pid`. */
  readonly name: string;
  readonly pid: number;
  readonly mac: string;
  readonly mtu: number;
  /** Index of the bridge the host's end joins; 0 for none. */
  readonly master: number;
}

/**
 * Network interfaces through the kernel's own protocol: no process, all in one turn of the event loop. For looking into a
 * container this thread enters its network namespace for as long as it takes to open a socket, synchronously; the socket is closed
 * at once, because an open one would keep the namespace of a stopped container alive.
 */
export class Netlink {
  private readonly ownNamespace = openSync('/proc/self/ns/net', 'r');
  private readonly buffer = Buffer.allocUnsafeSlow(receiveBytesMax);

  close(): void {
    closeSync(this.ownNamespace);
  }

  /** Links and addresses of our own namespace, or of that of process `pid`. Throws a `SystemCallError` when the process is gone. */
  describe(pid?: number): NamespaceNetwork {
    return this.withSocket(pid, (fd) => {
      const links = this.dump(fd, RTM_GETLINK, linkHeaderBytes).filter(({ type }) => type === RTM_NEWLINK).map(({ payload }) => decodeLink(payload));
      const addresses = this.dump(fd, RTM_GETADDR, 8).map(({ payload }) => decodeAddress(payload)).filter((address) => address !== null);
      return { links, addresses };
    });
  }

  /** Links of our own namespace only. */
  listLinks(): NetlinkLink[] {
    return this.withSocket(undefined, (fd) => this.dump(fd, RTM_GETLINK, linkHeaderBytes).map(({ payload }) => decodeLink(payload)));
  }

  /** Makes a pair with one end here and up, the other inside. */
  createVeth(veth: NewVeth): void {
    const namespace = openSync(`/proc/${veth.pid}/ns/net`, 'r');
    try {
      const peer: Attribute[] = [
        [IFLA_IFNAME, veth.name], [IFLA_ADDRESS, macBytes(veth.mac)], [IFLA_MTU, veth.mtu], [IFLA_NET_NS_FD, namespace],
      ];
      const data = encodeAttributes([[VETH_INFO_PEER, Buffer.concat([linkHeader(), encodeAttributes(peer)])]]);
      this.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, linkHeader(0, IFF_UP), [
        [IFLA_IFNAME, veth.hostName], [IFLA_MTU, veth.mtu], ...(veth.master === 0 ? [] : [[IFLA_MASTER, veth.master] as Attribute]),
        [IFLA_LINKINFO, [[IFLA_INFO_KIND, 'veth'], [IFLA_INFO_DATA, data]]],
      ]);
    } finally {
      closeSync(namespace);
    }
  }

  /** Deletes a link of our namespace (and its other end); absent is success. */
  deleteLink(name: string): void {
    try {
      this.request(RTM_DELLINK, 0, linkHeader(), [[IFLA_IFNAME, name]]);
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENODEV') throw error;
    }
  }

  private request(type: number, flags: number, header: Buffer, attributes: readonly Attribute[]): void {
    this.withSocket(undefined, (fd) => {
      sendBytes(fd, encodeMessage(type, NLM_F_REQUEST | NLM_F_ACK | flags, sequence, header, attributes));
      for (const message of decodeMessages(this.buffer.subarray(0, receiveBytes(fd, this.buffer)))) throwOnError(message);
    });
  }

  private dump(fd: number, type: number, headerBytes: number): NetlinkMessage[] {
    sendBytes(fd, encodeMessage(type, NLM_F_REQUEST | NLM_F_DUMP, sequence, Buffer.alloc(headerBytes)));
    const messages: NetlinkMessage[] = [];
    for (;;) {
      // A copy, because payloads are views and the buffer is used again.
      const bytes = Buffer.from(this.buffer.subarray(0, receiveBytes(fd, this.buffer)));
      for (const message of decodeMessages(bytes)) {
        if (message.type === NLMSG_DONE) return messages;
        throwOnError(message);
        messages.push(message);
      }
    }
  }

  private withSocket<T>(pid: number | undefined, work: (fd: number) => T): T {
    const fd = pid === undefined ? openRouteSocket() : this.openSocketInside(pid);
    try {
      return work(fd);
    } finally {
      closeSync(fd);
    }
  }

  private openSocketInside(pid: number): number {
    const namespace = openSync(`/proc/${pid}/ns/net`, 'r');
    try {
      return inNetworkNamespace(this.ownNamespace, namespace, openRouteSocket);
    } finally {
      closeSync(namespace);
    }
  }
}

function openRouteSocket(): number {
  const fd = openSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  const timeout = Buffer.alloc(16);
  timeout.writeBigInt64LE(BigInt(receiveTimeoutSeconds), 0);
  setSocketOption(fd, SOL_SOCKET, SO_RCVTIMEO, timeout);
  return fd;
}

/** struct ifinfomsg; `change` is the mask of the flags that are meant. */
function linkHeader(index = 0, flags = 0): Buffer {
  const header = Buffer.alloc(linkHeaderBytes);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(flags, 8);
  header.writeUInt32LE(flags, 12);
  return header;
}

function throwOnError(message: NetlinkMessage): void {
  if (message.type !== NLMSG_ERROR) return;
  const code = message.payload.readInt32LE(0);
  if (code > 0) throw internal(`The kernel answered a network request with ${code}`);
  if (code < 0) throw systemCallError('The kernel refused a network request', -code);
}
