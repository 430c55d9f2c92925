/** One line of /proc/self/mountinfo. */
export interface MountEntry {
  readonly mountPoint: string;
  /** Path inside the file system that is mounted here; `/` for all of it. */
  readonly root: string;
  readonly fsType: string;
  readonly source: string;
  readonly options: string;
}

/** Parses /proc/self/mountinfo; octal escapes (`\040`) are undone. Later entries hide earlier ones of the same mount point. */
export function parseMountTable(text: string): MountEntry[] {
  return text.split('\n').filter((line) => line !== '').map((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const fields = before.split(' ');
    const [fsType = '', source = '', options = ''] = after.split(' ');
    return { root: unescape(fields[3] ?? ''), mountPoint: unescape(fields[4] ?? ''), fsType, source: unescape(source), options };
  });
}

function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
