import { describe, expect, it } from 'vitest';
import { diskRates, diskSettings, settingsChange } from './disk-limits.rules.js';

const v1 = { v1: new Set(['blkio']), v2Controllers: new Set<string>() };
const v2 = { v1: new Set<string>(), v2Controllers: new Set(['io']) };
const texts = (settings: ReturnType<typeof diskSettings>) => settings.map(({ file, value }) => `${file} ${value}`);

describe('diskRates', () => {
  it('reads bytes and operations, both ways at once', () => {
    expect(diskRates({ 'limits.read': '1MB', 'limits.write': '20iops' })).toEqual({ readBytes: 1_000_000, readOperations: 0, writeBytes: 0, writeOperations: 20 });
    expect(diskRates({ 'limits.max': '1MiB', 'limits.read': '5iops' })).toEqual({ readBytes: 1_048_576, readOperations: 0, writeBytes: 1_048_576, writeOperations: 0 });
    expect(() => diskRates({ 'limits.read': 'foo' })).toThrow('Invalid value: foo');
    expect(() => diskRates({ 'limits.read': 'xiops' })).toThrow('strconv.ParseInt: parsing "x": invalid syntax');
  });
});

describe('diskSettings', () => {
  it('takes the mean of devices on one disk', () => {
    const disks = [['254:0', diskRates({ 'limits.max': '3MB', 'limits.write': '20iops' })], ['254:0', diskRates({ 'limits.max': '5MB' })], ['7:1', diskRates({ 'limits.read': '7iops' })]] as const;

    expect(texts(diskSettings(disks, v1))).toEqual(['blkio.throttle.read_bps_device 254:0 4000000', 'blkio.throttle.write_bps_device 254:0 4000000', 'blkio.throttle.read_iops_device 7:1 7']);
    expect(texts(diskSettings(disks, v2))).toEqual(['io.max 254:0 rbps=4000000 riops=max wbps=4000000 wiops=max', 'io.max 7:1 rbps=max riops=7 wbps=max wiops=max']);
  });
});

describe('settingsChange', () => {
  it('takes away what is gone before it sets what is new', () => {
    const of = (config: Record<string, string>, host: typeof v1 | typeof v2) => diskSettings([['254:0', diskRates(config)]], host);

    expect(texts(settingsChange(of({ 'limits.max': '3MB' }, v1), of({ 'limits.read': '4MB' }, v1)))).toEqual(['blkio.throttle.write_bps_device 254:0 0', 'blkio.throttle.read_bps_device 254:0 4000000']);
    expect(texts(settingsChange(of({ 'limits.max': '3MB' }, v2), []))).toEqual(['io.max 254:0 rbps=max riops=max wbps=max wiops=max']);
    expect(settingsChange(of({ 'limits.max': '3MB' }, v1), of({ 'limits.max': '3MB' }, v1))).toEqual([]);
  });
});
