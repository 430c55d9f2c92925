import { describe, expect, it } from 'vitest';
import type { InstanceSpec } from '#ports';
import { UnsupportedDevices } from './unsupported-devices.js';

describe('UnsupportedDevices', () => {
  it('says what the host lacks, in LXD\'s words', async () => {
    const say = (config: Record<string, string>, there: string[] = []) => new UnsupportedDevices((path) => there.includes(path)).prepare({} as InstanceSpec, { name: 'd', config });

    await expect(say({ type: 'tpm' })).rejects.toThrow("Failed to validate environment: Required tool 'swtpm' is missing");
    await expect(say({ type: 'tpm' }, ['/usr/bin/swtpm'])).rejects.toThrow('not supported on this host');
    await expect(say({ type: 'infiniband', parent: 'ib0' })).rejects.toThrow("Parent device 'ib0' doesn't exist");
    await expect(say({ type: 'infiniband', parent: 'ib0' }, ['/sys/class/net/ib0'])).rejects.toThrow('not supported on this host');
  });
});
