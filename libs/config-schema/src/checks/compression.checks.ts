import { invalid } from '#kernel';

/** What LXD knows: programs that compress their standard input, and `squashfs`, which is a file system instead of a compressed archive. */
const compressors = ['bzip2', 'gzip', 'lzma', 'pigz', 'pzstd', 'squashfs', 'xz', 'zstd'];

/**
 * Options that say how hard and with how many threads to work. The program runs as root beside every file of the host, so a word that might name
 * a file, or make it take one, is none of them.
 */
const harmless = /^(-\d{1,2}e?|-e|--extreme|--best|--fast(=\d+)?|--ultra|--rsyncable|--long(=\d+)?|(-T|--threads=|-p|-D)\d+)$/;

/** `none`, or the name of a program, with arguments or without. */
export function isCompression(value: string): void {
  const [program = '', ...options] = words(value);
  if (!compressors.includes(program) && !(program === 'none' && options.length === 0)) throw invalid(`Invalid compression algorithm "${program}"`);
}

/** Program, or `squashfs`, and arguments that compress; null for none at all. @throws `invalid`, also for options that are not among the harmless ones, of which `squashfs` has none. */
export function compressorOf(value: string): readonly [string, ...string[]] | null {
  isCompression(value);
  const [program = '', ...options] = words(value);
  if (program === 'none') return null;
  const strange = options.find((option) => program === 'squashfs' || !harmless.test(option));
  if (strange !== undefined) throw invalid(`Invalid compression algorithm "${value}": the option "${strange}" is not allowed`);
  return [program, ...options];
}

function words(value: string): string[] {
  return value.trim().split(/\s+/);
}
