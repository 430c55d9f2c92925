import { describe, expect, it } from 'vitest';
import { messageOf } from '#kernel';
import { serverKeys, validateProjectConfig } from '../index.js';
import { compressorOf } from './compression.checks.js';

const answer = (check: () => unknown): string => {
  try {
    check();
    return '';
  } catch (error) {
    return messageOf(error);
  }
};

describe('compression algorithms', () => {
  // What LXD 5.0.2 answers where all programs are installed.
  it.each([
    ['bzip2', ''], ['gzip', ''], ['lzma', ''], ['pigz', ''], ['pzstd', ''], ['xz -9', ''], ['zstd', ''], ['squashfs', ''], ['none', ''], [' gzip', ''],
    ['tar2sqfs', 'Invalid compression algorithm "tar2sqfs"'], ['lz4', 'Invalid compression algorithm "lz4"'], ['/bin/gzip', 'Invalid compression algorithm "/bin/gzip"'],
    ['none -1', 'Invalid compression algorithm "none"'],
  ])('are the same for the server and for projects: %s', (value, refusal) => {
    expect(answer(() => serverKeys.find('images.compression_algorithm')!.check?.(value, ''))).toBe(refusal);
    expect(answer(() => validateProjectConfig({ 'backups.compression_algorithm': value }))).toBe(refusal === '' ? '' : `Invalid project configuration key "backups.compression_algorithm" value: ${refusal}`);
  });

  it('become programs with options that name no files', () => {
    expect([compressorOf('none'), compressorOf('squashfs'), compressorOf(' xz  -9 -T0')]).toEqual([null, ['squashfs'], ['xz', '-9', '-T0']]);
    expect(() => compressorOf('gzip --suffix=/etc/passwd')).toThrow('the option "--suffix=/etc/passwd" is not allowed');
    expect(() => compressorOf('squashfs -9')).toThrow('Invalid compression algorithm "squashfs -9": the option "-9" is not allowed');
  });
});
