import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { isAlive, type EmulatedTpm, type ProcessStamp, type Swtpm } from '#host';
import { messageOf, wrap, type Logger } from '#kernel';
import type { DeviceSpec, InstanceSpec } from '#ports';
import type { LxcPaths } from '../lxc-paths.js';
import { writeWhole } from '../whole-files.js';
import { DeviceHandler, escapeDeviceName, type DeviceHost, type DeviceParts } from './device-handler.js';
import type { DeviceNode, DeviceNodes } from './device-nodes.js';
import { ownership } from './unix-nodes.rules.js';

const prefix = 'unix';

/** Who emulates a TPM; written before there is a process, so that one is found whoever was killed when. */
interface Emulator {
  readonly stateDirectory: string;
  readonly process: ProcessStamp | null;
}

/**
 * `tpm` devices: an emulator for each, and the two nodes of its device inside. What a TPM remembers lies in the instance's volume and goes with it. The
 * emulator ends with the container or when the device goes; `devices/NAME/tpm.DEVICE.json` says who it is.
 */
export class TpmDevices extends DeviceHandler {
  override readonly types = ['tpm'];

  constructor(private readonly paths: LxcPaths, private readonly nodes: DeviceNodes, private readonly swtpm: Swtpm, private readonly logger: Logger) { super(); }

  override async prepare(spec: InstanceSpec, device: DeviceSpec): Promise<DeviceParts> {
    const tpm = await this.emulate(spec, device);
    return this.nodes.prepare(spec, prefix, device.name, tpmNodes(device, tpm));
  }

  override async add(host: DeviceHost, device: DeviceSpec): Promise<void> {
    const tpm = await this.emulate(host.spec, device);
    try {
      for (const node of tpmNodes(device, tpm)) await this.nodes.plug(host, prefix, device.name, node);
    } catch (error) {
      await this.remove(host, device);
      throw error;
    }
  }

  override async remove(host: DeviceHost, device: DeviceSpec): Promise<void> {
    await this.nodes.unplug(host, prefix, device.name);
    this.end(host.spec.projectName, this.file(host.spec.projectName, device.name));
  }

  /** Without its emulator the nodes lead nowhere, and a new one has a device of its own. */
  override async adopt(host: DeviceHost, device: DeviceSpec): Promise<void> {
    if (this.emulatorOf(this.file(host.spec.projectName, device.name)) !== null) return;
    try {
      await this.remove(host, device);
      await this.add(host, device);
    } catch (error) {
      this.logger.error('Failed bringing a TPM back', { instance: host.spec.projectName, device: device.name, error: messageOf(error) });
    }
  }

  override async forget(projectName: string): Promise<void> {
    const directory = this.paths.devices(projectName);
    if (!existsSync(directory)) return;
    for (const name of readdirSync(directory)) if (/^tpm\..+\.json$/.test(name)) this.end(projectName, `${directory}/${name}`);
    this.nodes.forget(projectName, prefix);
  }

  private async emulate(spec: InstanceSpec, device: DeviceSpec): Promise<EmulatedTpm> {
    try {
      await this.swtpm.check();
    } catch (error) {
      throw wrap(error, 'Failed to validate environment');
    }
    const file = this.file(spec.projectName, device.name);
    const { pool, kind, name } = spec.rootVolume;
    const stateDirectory = `${this.paths.state.volume(pool.name, kind, name)}/tpm.${device.name.replaceAll('/', '-')}`;
    this.end(spec.projectName, file);
    mkdirSync(this.paths.devices(spec.projectName), { recursive: true, mode: 0o711 });
    const remember = (process: ProcessStamp | null): void => writeWhole(file, { stateDirectory, process } satisfies Emulator);
    remember(null);
    try {
      return await this.swtpm.start({ stateDirectory, logFile: `${this.paths.logs(spec.projectName)}/tpm.${escapeDeviceName(device.name)}.log`, started: remember });
    } catch (error) {
      this.end(spec.projectName, file);
      throw error;
    }
  }

  private end(projectName: string, file: string): void {
    const running = this.emulatorOf(file);
    if (running !== null) {
      this.swtpm.stop(running);
      this.logger.debug('Ended the emulator of a TPM', { instance: projectName, pid: running.pid });
    }
    rmSync(file, { force: true });
  }

  private emulatorOf(file: string): ProcessStamp | null {
    let known: Emulator;
    try {
      known = JSON.parse(readFileSync(file, 'utf8')) as Emulator;
    } catch {
      return null; // There is none.
    }
    if (known.process === null) return this.swtpm.find(known.stateDirectory);
    return isAlive(known.process) ? known.process : null;
  }

  private file(projectName: string, device: string): string {
    return `${this.paths.devices(projectName)}/tpm.${escapeDeviceName(device)}.json`;
  }
}

function tpmNodes({ config }: DeviceSpec, { device, resourceManager }: EmulatedTpm): DeviceNode[] {
  const node = (path: string, numbers: EmulatedTpm['device']): DeviceNode => ({ kind: 'c', ...numbers, path: path.startsWith('/') ? path : `/${path}`, ...ownership({}) });
  return [node(config['path'] ?? '', device), node(config['pathrm'] ?? '', resourceManager)];
}
