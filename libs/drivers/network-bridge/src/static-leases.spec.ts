import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { StaticLeaseFiles } from './static-leases.js';

const lease = { project: 'web', instance: 'c1', device: 'my-nic', hwaddr: '00:16:3e:00:00:01', ipv4Address: '10.1.2.3', ipv6Address: 'fd42::3' };
let directory: string;

beforeEach(() => { directory = mkdtempSync(`${tmpdir()}/roost-leases-`); });
afterEach(() => rmSync(directory, { recursive: true }));

const dnsmasqLine = (): string => readFileSync(`${directory}/web_c1.my--nic`, 'utf8').split('\n')[1] ?? '';

it('keeps one file per NIC, with the name only where names are managed', async () => {
  const files = new StaticLeaseFiles(directory);

  expect(await files.set(lease, '')).toBe(true);
  expect(await files.set(lease, '')).toBe(false);
  expect(dnsmasqLine()).toBe('00:16:3e:00:00:01,10.1.2.3,[fd42::3],c1');
  expect(await files.set(lease, 'none')).toBe(true);
  expect(dnsmasqLine()).toBe('00:16:3e:00:00:01,10.1.2.3,[fd42::3]');
  expect(await files.find('web', 'c1', 'my-nic')).toEqual(lease);
  expect(await files.list()).toEqual([lease]);
  expect(await files.set({ ...lease, hwaddr: '' }, '')).toBe(true);
  expect(await files.list()).toEqual([]);
});
