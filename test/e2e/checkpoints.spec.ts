import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { isInstalled } from '#host';
import { LxcContainers } from '../support/lxc-containers.js';
import { whyNoContainers } from '../support/lxc-fixture.js';
import { unmet } from '../support/needs.js';

// The set-up does not install it: other tests compare what LXD and we say without it.
const withoutCriu = !isInstalled('criu');

/** CRIU knows some kernels and not others: where it does not, what it says is the answer, and nothing else has changed. */
describe.skipIf(unmet('containers written down by CRIU', whyNoContainers()) || withoutCriu)('the state of a container', () => {
  const lxc = new LxcContainers();
  const { start, status } = lxc;
  const volume = () => lxc.fixture.state.volume('p', 'container', 'c1');
  const logs = () => readdirSync(lxc.fixture.state.logs('c1')).filter((name) => name.startsWith('snapshot_'));

  it('is written and gone on from, or the container runs on and CRIU\'s errors are told', async () => {
    const { pid, spec } = await start('c1');
    const { checkpoints, instances } = lxc.fixture.host;
    const failure = await checkpoints.writeState({ projectName: 'c1', stop: true }).then(() => null, (error: Error) => error.message);

    expect(logs()).toEqual([expect.stringMatching(/^snapshot_dump_\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\.log$/)]);
    if (failure !== null) {
      expect(failure).toMatch(/^snapshot dump failed(\n\(\d\d\.\d+\) .*(Error|Warn).*)+$/);
      expect(await status('c1')).toMatchObject({ power: 'Running', pid });
      expect(existsSync(`${volume()}/state`)).toBe(false);
      return;
    }
    expect(await status('c1')).toMatchObject({ power: 'Stopped' });
    await instances.startInstance(spec, { restoreState: true });
    expect(await status('c1')).toMatchObject({ power: 'Running' });
    await checkpoints.discardState(spec.rootVolume);
    expect(existsSync(`${volume()}/state`)).toBe(false);
  });

  it('that is none brings nothing up, and stays', async () => {
    const spec = await lxc.fixture.create('c1');
    mkdirSync(`${volume()}/state`);
    writeFileSync(`${volume()}/state/inventory.img`, 'nothing');

    await expect(lxc.fixture.host.instances.startInstance(spec, { restoreState: true })).rejects.toThrow(/^Migrate: (snapshot restore failed\n|Failed to run: lxc-checkpoint --restore c1: exit status 1)/);

    expect(await status('c1')).toMatchObject({ power: 'Stopped' });
    expect(existsSync(`${volume()}/state/inventory.img`)).toBe(true);
  });
});
