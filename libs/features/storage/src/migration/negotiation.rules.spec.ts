import { describe, expect, it } from 'vitest';
import type { MigrationFormat } from '#ports';
import { fsTypes, type MigrationHeader } from './migration-messages.rules.js';
import { formatOfAnswer, formatOfOffer, formatPart, ownRsync } from './negotiation.rules.js';

const header = (fs: number, more: Partial<MigrationHeader> = {}): MigrationHeader => ({ fs, idmap: [], snapshotNames: [], snapshots: [], rsyncFeatures: ownRsync, ...more });
const none = { xattrs: false, delete: false, compress: false, bidirectional: false };
const zfs = 2;

describe('formatOfOffer', () => {
  it.each<[number, MigrationFormat]>([[fsTypes.rsync, 'rsync'], [fsTypes.btrfs, 'rsync'], [zfs, 'rsync'], [fsTypes.blockAndRsync, 'block'], [fsTypes.btrfs, 'block'], [zfs, 'block']])(
    'takes of %j what every pool knows of such a volume: %s', (fs, own) => {
      expect(formatOfOffer(header(fs), [own])).toBe(own);
    });

  it.each<[number, MigrationFormat]>([[fsTypes.blockAndRsync, 'rsync'], [fsTypes.rsync, 'block'], [77, 'rsync']])('makes no disk of files and no files of a disk: %j for %s', (fs, own) => {
    expect(() => formatOfOffer(header(fs, fs === 77 ? { rsyncFeatures: undefined } : {}), [own])).toThrow('No common migration types found');
  });

  it('refuses an rsync that cannot be talked to', () => {
    expect(() => formatOfOffer(header(fsTypes.rsync, { rsyncFeatures: none }), ['rsync'])).toThrow('too old');
    expect(formatOfOffer(header(fsTypes.blockAndRsync, { rsyncFeatures: none }), ['block'])).toBe('block');
  });
});

describe('formatOfAnswer', () => {
  it('takes what was offered, and nothing else', () => {
    expect(formatOfAnswer(header(fsTypes.blockAndRsync, { rsyncFeatures: none }), ['block'])).toBe('block');
    expect(() => formatOfAnswer(header(fsTypes.btrfs), ['rsync'])).toThrow('No common migration types found');
    expect(() => formatOfAnswer(header(fsTypes.rsync), ['block'])).toThrow('No common migration types found');
  });
});

it('names formats as the protocol does', () => {
  expect([formatPart('rsync', none).fs, formatPart('block', none).fs]).toEqual([0, 4]);
});
