import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CommandRunner, LxcTools, RoostHelper, type CommandResult, type RunOptions } from '#host';
import { StateDirectory } from '#kernel';
import type { InstanceSpec } from '#ports';
import { LxcPaths } from '../lxc-paths.js';
import { DeviceNodes } from './device-nodes.js';

class RecordedCommands extends CommandRunner {
  readonly ran: string[] = [];

  override async run({ argv }: RunOptions): Promise<CommandResult> {
    this.ran.push(argv.join(' '));
    return { exitCode: 0, stdout: '', stderr: '' };
  }
}

describe('permit', () => {
  const commands = new RecordedCommands();
  const paths = new LxcPaths(new StateDirectory('/tmp/roost-none'), '0123456789abcdef');
  const nodes = new DeviceNodes(paths, new RoostHelper(commands), new LxcTools(commands, ''));
  const host = (cgroups: Record<string, string>, idmap: InstanceSpec['idmap'] = []) => ({ spec: { projectName: 'c1', idmap } as unknown as InstanceSpec, cgroups });

  it("has LXC's monitor change its program where devices are guarded on cgroup v2", async () => {
    await nodes.permit(host({ '': '/sys/fs/cgroup/x' }), 'c 4:71 rwm', true);
    await nodes.permit(host({ '': '/sys/fs/cgroup/x' }), 'c 4:71 rwm', false);

    const tool = `lxc-cgroup --lxcpath ${paths.lxcPath} --name c1`;
    expect(commands.ran.splice(0)).toEqual([`${tool} devices.allow c 4:71 rwm`, `${tool} devices.deny c 4:71 rwm`]);
  });

  it('writes control files of v1, and nothing for containers with ids of their own', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'roost-devices-'));
    for (const file of ['list', 'allow', 'deny']) writeFileSync(`${directory}/devices.${file}`, '');

    await nodes.permit(host({ devices: directory }), 'c 4:71 rwm', true);
    await nodes.permit(host({ devices: directory }, [{ isUid: true, isGid: true, hostId: 1000, nsId: 0, range: 10 }]), 'c 4:72 rwm', true);

    expect([readFileSync(`${directory}/devices.allow`, 'utf8').trim(), readFileSync(`${directory}/devices.deny`, 'utf8'), commands.ran]).toEqual(['c 4:71 rwm', '', []]);
    rmSync(directory, { recursive: true });
  });
});
