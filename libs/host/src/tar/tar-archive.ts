/** Reading plain tar archives held in memory: enough to find one small member without a program. */
const blockBytes = 512;

function text(header: Buffer, from: number, to: number): string {
  const field = header.subarray(from, to);
  const end = field.indexOf(0);
  return field.subarray(0, end === -1 ? field.length : end).toString('utf8');
}

/** The content of the first regular member of that name (`./` in front is ignored); undefined if there is none. */
export function readTarMember(archive: Buffer, name: string): Buffer | undefined {
  for (let at = 0; at + blockBytes <= archive.length;) {
    const header = archive.subarray(at, at + blockBytes);
    const size = Number.parseInt(text(header, 124, 136).trim() || '0', 8);
    if (header[0] === 0 || Number.isNaN(size)) return undefined;
    const type = String.fromCharCode(header[156] ?? 0);
    const found = text(header, 0, 100).replace(/^\.\//, '');
    if (found === name && (type === '0' || type === '\0')) return archive.subarray(at + blockBytes, at + blockBytes + size);
    at += blockBytes + Math.ceil(size / blockBytes) * blockBytes;
  }
  return undefined;
}
