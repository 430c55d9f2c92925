import { describe, expect, it } from 'vitest';
import type { IdmapEntry } from '#ports';
import { allocateIdmap, idmapFromText, idmapToText, parseRawIdmap } from './idmap.rules.js';

const host: IdmapEntry[] = [
  { isUid: true, isGid: false, hostId: 100_000, nsId: 0, range: 10_000_001 },
  { isUid: false, isGid: true, hostId: 100_000, nsId: 0, range: 10_000_001 },
];

describe('allocateIdmap', () => {
  it('gives a privileged container no map', () => {
    expect(allocateIdmap({ 'security.privileged': 'true', 'security.idmap.isolated': 'true' }, host, [])).toEqual({ base: 0, map: [] });
  });

  it('gives all of the host to who shares', () => {
    expect(allocateIdmap({}, host, [])).toEqual({ base: 0, map: host });
  });

  it('gives an isolated one the first gap after the first 65536 ids', () => {
    const isolated = { 'security.idmap.isolated': 'true' };

    expect(allocateIdmap(isolated, host, []).base).toBe(165_536);
    expect(allocateIdmap(isolated, host, [{ base: 165_536, size: 65_536 }]).base).toBe(231_072);
    expect(allocateIdmap(isolated, host, [{ base: 300_000, size: 65_536 }, { base: 165_536, size: 65_536 }]).base).toBe(231_072);
    expect(allocateIdmap(isolated, host, [{ base: 231_072, size: 65_536 }]).base).toBe(165_536);
  });

  it('takes the base it is told, and the size', () => {
    const { base, map } = allocateIdmap({ 'security.idmap.isolated': 'true', 'security.idmap.base': '2000000', 'security.idmap.size': '100000' }, host, []);

    expect(base).toBe(2_000_000);
    expect(map.map((entry) => entry.range)).toEqual([100_000, 100_000]);
  });

  it('refuses when nothing is left', () => {
    const full = [{ base: 165_536, size: 9_934_465 }];
    expect(() => allocateIdmap({ 'security.idmap.isolated': 'true' }, host, full)).toThrow('Not enough uid/gid available for the container');
  });

  it('cuts raw.idmap in, in the order LXD writes', () => {
    const { map } = allocateIdmap({ 'raw.idmap': 'both 1000 1000\nuid 50-60 500-510' }, host, []);

    expect(idmapToText(map)).toBe(
      '[{"Isuid":true,"Isgid":false,"Hostid":100000,"Nsid":0,"Maprange":500},{"Isuid":true,"Isgid":false,"Hostid":50,"Nsid":500,"Maprange":11},'
      + '{"Isuid":true,"Isgid":false,"Hostid":100511,"Nsid":511,"Maprange":489},{"Isuid":true,"Isgid":true,"Hostid":1000,"Nsid":1000,"Maprange":1},'
      + '{"Isuid":true,"Isgid":false,"Hostid":101001,"Nsid":1001,"Maprange":9999000},{"Isuid":false,"Isgid":true,"Hostid":100000,"Nsid":0,"Maprange":1000},'
      + '{"Isuid":true,"Isgid":true,"Hostid":1000,"Nsid":1000,"Maprange":1},{"Isuid":false,"Isgid":true,"Hostid":101001,"Nsid":1001,"Maprange":9999000}]');
    expect(idmapFromText(idmapToText(map))).toEqual(map);
  });

  it('refuses raw entries inside the shared range and lines it cannot read', () => {
    expect(() => allocateIdmap({ 'raw.idmap': 'both 100001 5' }, host, [])).toThrow('Host id is in the range of subids');
    for (const line of ['zz', 'both 1', 'both 1 2 3', 'both 1-5 2-3', 'both a b']) expect(() => parseRawIdmap(line)).toThrow(`Invalid ID map line "${line}"`);
  });
});
