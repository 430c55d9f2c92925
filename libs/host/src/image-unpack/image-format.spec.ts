import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readTarMember } from '../tar/tar-archive.js';
import { imageFormatOf } from './image-format.js';

function member(name: string, content: string): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(content.length.toString(8).padStart(11, '0'), 124);
  header.write('0', 156);
  header.write('ustar\0', 257);
  const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
  body.write(content);
  return Buffer.concat([header, body]);
}

const archive = Buffer.concat([member('./rootfs/metadata.yaml', 'wrong'), member('./metadata.yaml', 'right'), Buffer.alloc(1024)]);

describe('imageFormatOf', () => {
  it('knows archives by their first bytes and nothing else', () => {
    expect(imageFormatOf(archive)).toBe('tar');
    expect(imageFormatOf(gzipSync(archive))).toBe('tar.gz');
    expect(imageFormatOf(zstdCompressSync(archive))).toBe('tar.zst');
    expect(imageFormatOf(Buffer.from('hsqs0000'))).toBe('squashfs');
    expect(imageFormatOf(Buffer.from('hello'))).toBeUndefined();
    expect(imageFormatOf(Buffer.alloc(0))).toBeUndefined();
  });
});

describe('readTarMember', () => {
  it('finds a member at the top only', () => {
    expect(readTarMember(archive, 'metadata.yaml')?.toString()).toBe('right');
    expect(readTarMember(archive, 'absent')).toBeUndefined();
    expect(readTarMember(Buffer.from('not a tar'), 'x')).toBeUndefined();
  });
});
