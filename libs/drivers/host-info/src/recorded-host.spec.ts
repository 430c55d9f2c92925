import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SilentLogger, StateDirectory } from '#kernel';
import { CommandRunner, type EthtoolPort } from '#host';
import { LinuxHostInfo } from './host-info.driver.js';
import type { PortFacts } from './network-resources.js';
import recordedHost from './recorded/host.json' with { type: 'json' };
import recordedResources from './recorded/resources.json' with { type: 'json' };
import { Sysfs } from './sysfs.js';

const recordedOn = '6.18.44-fc-v595';

/** Interfaces of the recording were bridges without ports, which is what their drivers said. */
const silentPorts: PortFacts = {
  port: (): EthtoolPort => ({
    permanentAddress: '00:00:00:00:00:00', supportedModes: [], supportedPorts: [], portType: 'other', transceiverType: 'internal', autoNegotiation: false,
    linkDetected: false, speed: 0, duplex: '',
  }),
  firmwareVersion: () => 'N/A',
};

/**
 * LXD 5.0.2 was shown this /sys and /proc (two sockets, cards with virtual functions, every kind of disk, USB, firmware tables) and
 * asked for /1.0/resources. Its answer is the expectation, to the field.
 */
describe('a recorded host', () => {
  const root = mkdtempSync(join(tmpdir(), 'recorded-host-'));
  let answer: Record<string, unknown>;

  beforeAll(async () => {
    const { files, links } = recordedHost as { files: Record<string, string>; links: Record<string, string> };
    const place = (path: string): string => {
      mkdirSync(dirname(`${root}${path}`), { recursive: true });
      return `${root}${path}`;
    };
    for (const [path, text] of Object.entries(files)) writeFileSync(place(path), text);
    for (const [path, target] of Object.entries(links)) symlinkSync(target, place(path));
    writeFileSync(place('/proc/sys/kernel/osrelease'), `${recordedOn}\n`);
    writeFileSync(place('/.dockerenv'), '');
    const command = new CommandRunner();
    const state = new StateDirectory(root);
    answer = await new LinuxHostInfo({ state, command, logger: new SilentLogger(), firewall: 'nftables', sysfs: new Sysfs(root), ports: silentPorts }).describeResources();
  });
  afterAll(() => rmSync(root, { recursive: true }));

  it.each(Object.entries(recordedResources))('has the same %s', (section, expected) => {
    expect(answer[section]).toEqual(expected);
  });

  it('has no further sections', () => {
    expect(Object.keys(answer)).toEqual(Object.keys(recordedResources));
  });
});
