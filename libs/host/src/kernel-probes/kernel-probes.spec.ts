import { mkdtempSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { needsRoot, unmet } from '../../../../test/support/needs.js';
import { idmappedMountsWork } from './idmapped-mounts.js';
import { mountSetattrExists, namespaceAddressesWork, namespacedFileCapabilitiesWork, seccompContinueWorks, seccompListenerWorks, ueventInjectionWorks } from './kernel-probes.js';

const [major = 0, minor = 0] = release().split('.').map(Number);
const newKernel = major > 6 || (major === 6 && minor >= 3) ? '' : `Linux 6.3 is needed, this is ${release()}`;

describe.skipIf(unmet('probes of the kernel', needsRoot || newKernel))('probes on a kernel that has everything', () => {
  it('finds every feature', () => {
    expect(seccompListenerWorks()).toBe(true);
    expect(seccompContinueWorks()).toBe(true);
    expect(mountSetattrExists()).toBe(true);
    expect(namespaceAddressesWork()).toBe(true);
    expect(ueventInjectionWorks()).toBe(true);
  });

  it('leaves no file behind', () => {
    const directory = mkdtempSync(join(tmpdir(), 'probe-'));

    expect(namespacedFileCapabilitiesWork(directory)).toBe(true);
    expect(readdirSync(directory)).toEqual([]);
    rmdirSync(directory);
  });

  it('tells file systems with idmapped mounts from those without', () => {
    expect(idmappedMountsWork('/dev/shm')).toBe(true);
    expect(idmappedMountsWork('/proc')).toBe(false);
    expect(idmappedMountsWork('/does/not/exist')).toBe(false);
  });

  it('leaves no child and no filter behind', () => {
    const seccompLine = (): string | undefined => readFileSync('/proc/self/status', 'utf8').split('\n').find((line) => line.startsWith('Seccomp:'));
    const before = seccompLine();
    idmappedMountsWork('/dev/shm');
    seccompContinueWorks();

    expect(seccompLine()).toBe(before);
    const children = readdirSync('/proc/self/task').map((task) => readFileSync(`/proc/self/task/${task}/children`, 'utf8').trim());
    const zombies = children.flatMap((line) => line.split(' ')).filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z '));
    expect(zombies).toEqual([]);
  });
});

it('says no for a directory that is not there', () => {
  expect(namespacedFileCapabilitiesWork('/does/not/exist')).toBe(false);
});
