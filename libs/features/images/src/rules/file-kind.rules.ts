/** First bytes needed to tell the kind of a file. */
export const magicBytes = 265;

/**
 * Ending of the name an exported file gets, told from its first bytes as LXD does: `.tar.gz`, `.squashfs`, `.qcow2`; empty when unknown.
 */
export function fileEnding(head: Buffer): string {
  const starts = (...bytes: number[]): boolean => head.subarray(0, bytes.length).equals(Buffer.from(bytes));
  if (starts(0x42, 0x5a)) return '.tar.bz2';
  if (starts(0x1f, 0x8b)) return '.tar.gz';
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a)) return '.tar.xz';
  if (starts(0x5d, 0x00, 0x00)) return '.tar.lzma';
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return '.tar.zst';
  if (head.subarray(257, 262).toString('latin1') === 'ustar') return '.tar';
  if (head.subarray(0, 4).toString('latin1') === 'hsqs') return '.squashfs';
  return starts(0x51, 0x46, 0x49, 0xfb) ? '.qcow2' : '';
}
