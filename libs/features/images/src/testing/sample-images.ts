import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

/** A tar archive of plain files, in the order given. */
export function tarOf(files: Readonly<Record<string, string | Buffer>>): Buffer {
  const parts = Object.entries(files).flatMap(([name, content]) => {
    const body = Buffer.from(content as string);
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000644\0', 100);
    header.write('0000000\0', 108);
    header.write('0000000\0', 116);
    header.write(`${body.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write('0', 156);
    header.write('ustar\x0000', 257);
    header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148);
    return [header, body, Buffer.alloc((512 - (body.length % 512)) % 512)];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

const metadata = (os: string): string => `architecture: x86_64\ncreation_date: 1424284563\nexpiry_date: 1987654321\nproperties:\n  os: ${os}\n  release: "1"\n`;

/** A unified image; another `os` is another fingerprint. */
export function unifiedImage(os = 'Busybox'): Buffer {
  return gzipSync(tarOf({ 'metadata.yaml': metadata(os), 'rootfs/etc/issue': os }));
}

/** The metadata part of a split image. */
export function metadataTarball(os = 'Busybox'): Buffer {
  return gzipSync(tarOf({ 'metadata.yaml': metadata(os) }));
}

/** Something whose first bytes are squashfs's. */
export function squashfsFile(bytes = 100_000): Buffer {
  return Buffer.concat([Buffer.from('hsqs'), Buffer.alloc(bytes, 'x')]);
}

/** SHA-256 over the parts, hex. */
export function sha256(...parts: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}

/** A multipart body with the given parts. */
export function multipartBody(parts: readonly { readonly name: string; readonly filename?: string; readonly content: Buffer }[]): { body: Buffer; contentType: string } {
  const chunks = parts.flatMap(({ name, filename, content }) => [
    Buffer.from(`--xyz\r\nContent-Disposition: form-data; name="${name}"; filename="${filename ?? name}"\r\nContent-Type: application/octet-stream\r\n\r\n`), content, Buffer.from('\r\n'),
  ]);
  return { body: Buffer.concat([...chunks, Buffer.from('--xyz--\r\n')]), contentType: 'multipart/form-data; boundary=xyz' };
}
