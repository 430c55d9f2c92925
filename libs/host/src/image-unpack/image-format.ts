import { open } from 'node:fs/promises';

export type ImageFormat = 'tar' | 'tar.gz' | 'tar.bz2' | 'tar.xz' | 'tar.lzma' | 'tar.zst' | 'squashfs' | 'qcow2';

/** First bytes read; enough for the tar magic at 257. */
export const formatProbeBytes = 264;

const magics: readonly (readonly [ImageFormat, number, readonly number[]])[] = [
  ['tar.bz2', 0, [0x42, 0x5a, 0x68]],
  ['tar.gz', 0, [0x1f, 0x8b]],
  ['tar.xz', 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a]],
  ['tar.lzma', 0, [0x5d, 0x00, 0x00]],
  ['tar.zst', 0, [0x28, 0xb5, 0x2f, 0xfd]],
  ['squashfs', 0, [0x68, 0x73, 0x71, 0x73]],
  ['qcow2', 0, [0x51, 0x46, 0x49, 0xfb]],
  ['tar', 257, [0x75, 0x73, 0x74, 0x61, 0x72]],
];

/** What a file is by its first bytes; undefined for anything that is no image. */
export function imageFormatOf(head: Uint8Array): ImageFormat | undefined {
  return magics.find(([, offset, magic]) => magic.every((byte, i) => head[offset + i] === byte))?.[0];
}

export async function imageFormatOfFile(path: string): Promise<ImageFormat | undefined> {
  const handle = await open(path, 'r');
  try {
    const head = Buffer.alloc(formatProbeBytes);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    return imageFormatOf(head.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}
