/** Numbers from linux/netlink.h, linux/rtnetlink.h, linux/if_link.h and linux/veth.h; stable parts of the kernel's interface. */
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP = 0x300;
export const NLM_F_CREATE = 0x400;
export const NLM_F_EXCL = 0x200;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_GETADDR = 22;
const headerBytes = 16;
const nestedFlag = 0x8000;
const typeMask = 0x3fff;

export interface NetlinkMessage {
  readonly type: number;
  readonly payload: Buffer;
}

/** Attributes of a request: bytes, a 32-bit number, a name (with its final NUL), or nested attributes. */
export type AttributeValue = Buffer | number | string | readonly Attribute[];
export type Attribute = readonly [type: number, value: AttributeValue];

function aligned(length: number): number {
  return (length + 3) & ~3;
}

function valueBytes(value: AttributeValue): Buffer {
  if (Buffer.isBuffer(value)) return value;
  if (typeof value === 'string') return Buffer.from(`${value}\0`);
  if (typeof value === 'number') {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes;
  }
  return encodeAttributes(value);
}

export function encodeAttributes(attributes: readonly Attribute[]): Buffer {
  return Buffer.concat(attributes.map(([type, value]) => {
    const bytes = valueBytes(value);
    const encoded = Buffer.alloc(aligned(4 + bytes.length));
    encoded.writeUInt16LE(4 + bytes.length, 0);
    encoded.writeUInt16LE(Array.isArray(value) ? type | nestedFlag : type, 2);
    bytes.copy(encoded, 4);
    return encoded;
  }));
}

/** A whole request: header, the fixed part of its kind, attributes. */
export function encodeMessage(type: number, flags: number, sequence: number, fixed: Buffer, attributes: readonly Attribute[] = []): Buffer {
  const body = Buffer.concat([fixed, encodeAttributes(attributes)]);
  const message = Buffer.alloc(headerBytes + body.length);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(type, 4);
  message.writeUInt16LE(flags, 6);
  message.writeUInt32LE(sequence, 8);
  body.copy(message, headerBytes);
  return message;
}

/** Splits what one recv gave. Payloads are views of `bytes`. */
export function* decodeMessages(bytes: Buffer): Generator<NetlinkMessage> {
  let at = 0;
  while (at + headerBytes <= bytes.length) {
    const length = bytes.readUInt32LE(at);
    if (length < headerBytes) return;
    yield { type: bytes.readUInt16LE(at + 4), payload: bytes.subarray(at + headerBytes, at + length) };
    at += aligned(length);
  }
}

/** Calls `visit` for each attribute behind the fixed part; values are views. */
export function forEachAttribute(bytes: Buffer, offset: number, visit: (type: number, value: Buffer) => void): void {
  let at = offset;
  while (at + 4 <= bytes.length) {
    const length = bytes.readUInt16LE(at);
    if (length < 4) return;
    visit(bytes.readUInt16LE(at + 2) & typeMask, bytes.subarray(at + 4, at + length));
    at += aligned(length);
  }
}

/** Text of an attribute that ends in NUL. */
export function attributeText(value: Buffer): string {
  const end = value.indexOf(0);
  return value.toString('latin1', 0, end < 0 ? value.length : end);
}
