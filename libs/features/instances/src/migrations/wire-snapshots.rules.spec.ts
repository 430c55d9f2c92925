import { describe, expect, it } from 'vitest';
import { idmapText } from './wire-snapshots.rules.js';

const entry = { isuid: true, isgid: true, hostid: 100_000, nsid: 0, maprange: 65_536 };

describe('the ids of what comes from another server', () => {
  it('are kept as they are told', () => {
    expect(idmapText([entry])).toBe('[{"Isuid":true,"Isgid":true,"Hostid":100000,"Nsid":0,"Maprange":65536}]');
    expect(idmapText([])).toBe('[]');
    expect(JSON.parse(idmapText(Array.from({ length: 128 }, () => ({ ...entry, hostid: 2 ** 32 - 1 }))))).toHaveLength(128);
  });

  it.each([[{ ...entry, hostid: -1 }], [{ ...entry, nsid: 2 ** 32 }], [{ ...entry, maprange: 0.5 }], [{ ...entry, hostid: Number.NaN }], Array.from({ length: 129 }, () => entry)].map((idmap) => [idmap]))('are refused where they are none: %j', (idmap) => {
    expect(() => idmapText(idmap)).toThrow('Invalid id map');
  });
});
