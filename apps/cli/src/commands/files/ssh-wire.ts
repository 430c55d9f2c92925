import { invalid } from '#kernel';

/** Reads the data types of RFC 4251. Throws `invalid` where a message is shorter than it says. */
export class Reader {
  private at = 0;

  constructor(private readonly data: Buffer) {}

  byte(): number { return this.take(1)[0]!; }
  bool(): boolean { return this.byte() !== 0; }
  uint32(): number { return this.take(4).readUInt32BE(0); }
  bytes(): Buffer { return this.take(this.uint32()); }
  text(): string { return this.bytes().toString('utf8'); }
  names(): string[] { return this.text().split(','); }

  take(length: number): Buffer {
    if (this.at + length > this.data.length) throw invalid('The SSH client sent a message that is cut off');
    this.at += length;
    return this.data.subarray(this.at - length, this.at);
  }
}

export const uint32 = (value: number): Buffer => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
};

export const string = (value: string | Buffer): Buffer => {
  const content = Buffer.from(value as string);
  return Buffer.concat([uint32(content.length), content]);
};

/** A positive whole number, without zeros it does not need. */
export function mpint(value: Buffer): Buffer {
  let start = 0;
  while (start < value.length && value[start] === 0) start++;
  const digits = value.subarray(start);
  return string(digits.length > 0 && digits[0]! & 0x80 ? Buffer.concat([Buffer.from([0]), digits]) : digits);
}

export const message = (number: number, ...parts: readonly Buffer[]): Buffer => Buffer.concat([Buffer.from([number]), ...parts]);
