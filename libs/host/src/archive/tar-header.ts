/** Writing members of tar archives whose content is at hand: the small files that lie beside trees in images and backups. */
const blockBytes = 512;
/** What a header's own field of eleven octal digits can say. */
const octalMax = 8 ** 11 - 1;

export interface TarFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly mode: number;
  /** Unix time, seconds. */
  readonly modifiedAt: number;
}

/** The header of a regular file of root's; its content, and `tarPadding`, follow. Names and sizes that do not fit are written as POSIX has it. */
export function tarHeader(file: TarFile): Buffer {
  const name = Buffer.from(file.name);
  const records = [...(name.length > 100 ? [paxRecord('path', file.name)] : []), ...(file.sizeBytes > octalMax ? [paxRecord('size', String(file.sizeBytes))] : [])];
  const own = header(name.subarray(0, 100), '0', Math.min(file.sizeBytes, octalMax), file.mode, file.modifiedAt);
  if (records.length === 0) return own;
  const extended = Buffer.concat(records);
  return Buffer.concat([header(Buffer.from('PaxHeaders/extended'), 'x', extended.length, 0o644, file.modifiedAt), extended, tarPadding(extended.length), own]);
}

/** Zeros up to the next block. */
export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((blockBytes - (sizeBytes % blockBytes)) % blockBytes);
}

/** What ends an archive. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * blockBytes);
}

function header(name: Buffer, type: string, sizeBytes: number, mode: number, modifiedAt: number): Buffer {
  const block = Buffer.alloc(blockBytes);
  name.copy(block);
  const octal = (value: number, at: number, digits: number): void => void block.write(`${Math.trunc(value).toString(8).padStart(digits, '0')}\0`, at, 'latin1');
  octal(mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(sizeBytes, 124, 11);
  octal(Math.max(0, modifiedAt), 136, 11);
  block.write(type, 156, 'latin1');
  block.write('ustar\x0000root', 257, 'latin1');
  block.write('root', 297, 'latin1');
  block.fill(' ', 148, 156);
  octal(block.reduce((sum, byte) => sum + byte, 0), 148, 6);
  return block;
}

/** `<length> <key>=<value>\n`, whose length counts its own digits. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + String(rest).length;
  if (String(length).length > String(rest).length) length = rest + String(length).length;
  return Buffer.from(`${length} ${key}=${value}\n`);
}
