import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { InstanceSpec } from '#ports';
import { InstanceRecords } from './instance-records.js';
import type { LxcPaths } from './lxc-paths.js';

const spec = { id: 7, projectName: 'c1', placementEpoch: 3 } as InstanceSpec;

describe('what an agent knows of instances', () => {
  let directory: string;
  beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'records-')); });
  afterEach(() => rmSync(directory, { recursive: true }));

  function load(): InstanceRecords {
    const records = new InstanceRecords({ records: directory, record: (name: string) => `${directory}/${name}.json` } as unknown as LxcPaths);
    records.load();
    return records;
  }

  it('outlives it', () => {
    load().set('c1', { spec, placementEpoch: 3, running: null });

    expect([load().names(), load().lowestEpoch(spec)]).toEqual([['c1'], 3]);
  });

  it('keeps the placement of one that has left, until it is known again', () => {
    const records = load();
    records.set('c1', { spec, placementEpoch: 3, running: null });

    records.depart('c1');

    expect([load().names(), load().lowestEpoch(spec), load().lowestEpoch({ ...spec, id: 8 })]).toEqual([[], 4, 0]);
    load().arrived(7);
    expect(load().lowestEpoch(spec)).toBe(0);
  });

  it('keeps no more of those that have left than it must', () => {
    const records = load();
    for (let id = 1; id <= 1001; id++) {
      records.set('c1', { spec: { ...spec, id }, placementEpoch: 1, running: null });
      records.depart('c1');
    }

    expect([1, 2, 1001].map((id) => load().lowestEpoch({ ...spec, id }))).toEqual([0, 2, 2]);
  });
});
