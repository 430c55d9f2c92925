import { crypto } from './late-modules.js';

const tenYearsMs = 10 * 365 * 24 * 3600 * 1000;

/**
 * A self-signed certificate for a user, shaped like those `lxc` makes: ECDSA P-384, ten years, for client authentication. The few structures of
 * X.509 that takes are written out here: the library that knows all of them weighs more than the rest of the client.
 * @param name common name. Example: `joe@laptop`
 * @returns certificate and key, both PEM
 */
export function generateClientCertificate(name: string): { certificate: string; key: string } {
  const { createSign, generateKeyPairSync, randomBytes } = crypto();
  const keys = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  const from = new Date();
  const subject = sequence(attribute('2.5.4.10', printable('linuxcontainers.org')), attribute('2.5.4.3', utf8(name)));
  const signature = sequence(oid('1.2.840.10045.4.3.3'));
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const body = sequence(
    tagged(0, integer(Buffer.from([2]))), integer(serial), signature, subject,
    sequence(time(from), time(new Date(from.getTime() + tenYearsMs))), subject,
    keys.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, sequence(
      extension('2.5.29.15', true, Buffer.from([0x03, 0x02, 0x05, 0xa0])),
      extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.2'))),
      extension('2.5.29.19', true, sequence()),
    )),
  );
  const signed = createSign('SHA384').update(body).sign(keys.privateKey);
  const der = sequence(body, signature, element(0x03, Buffer.concat([Buffer.from([0]), signed])));
  return { certificate: pem('CERTIFICATE', der), key: String(keys.privateKey.export({ type: 'sec1', format: 'pem' })) };
}

/** One DER element: tag, length, content. */
function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => element(0x30, Buffer.concat(parts));
const tagged = (number: number, content: Buffer): Buffer => element(0xa0 | number, content);
const integer = (bytes: Buffer): Buffer => element(0x02, bytes);
const printable = (text: string): Buffer => element(0x13, Buffer.from(text, 'latin1'));
const utf8 = (text: string): Buffer => element(0x0c, Buffer.from(text, 'utf8'));
const attribute = (type: string, value: Buffer): Buffer => element(0x31, sequence(oid(type), value));

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(type), ...(critical ? [Buffer.from([0x01, 0x01, 0xff])] : []), element(0x04, value));
}

/** Two-digit years up to 2049, four digits after, as RFC 5280 wants. */
function time(date: Date): Buffer {
  const text = date.toISOString().replace(/[-:T]/g, '').replace(/\.\d+Z$/, 'Z');
  return date.getUTCFullYear() < 2050 ? element(0x17, Buffer.from(text.slice(2))) : element(0x18, Buffer.from(text));
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const digits = [arc & 0x7f];
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return element(0x06, Buffer.from(bytes));
}

function pem(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${der.toString('base64').replace(/(.{64})(?=.)/g, '$1\n')}\n-----END ${label}-----\n`;
}
