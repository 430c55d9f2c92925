import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync, lstatSync, unlinkSync } from 'node:fs';
import type { ProxyProcesses } from '#host';
import { isTrue, messageOf, wrap, type Logger } from '#kernel';
import type { DeviceSpec, FirewallDriver, InstanceSpec } from '#ports';
import type { LxcPaths } from '../lxc-paths.js';
import { writeWhole } from '../whole-files.js';
import { DeviceHandler, deviceStartError, escapeDeviceName, type DeviceHost, type DeviceParts } from './device-handler.js';
import { proxyForward } from './proxy-forward.rules.js';
import { proxyAddress, proxyEndpoints } from './proxy-endpoints.rules.js';

/** What must go with a proxy, kept beside its pid file: nobody may know the configuration by then. */
interface Leftovers {
  /** A listening socket of the host's side. */
  readonly socket: string;
  readonly forward: boolean;
}

type Firewall = Pick<FirewallDriver, 'ensureProxyForward' | 'removeProxyForward'>;

/**
 * `proxy` devices: a process each, or with `nat` rules of the firewall. The process ends by itself when the container's init does, and the pid file
 * `devices/NAME/proxy.DEVICE` lets whoever comes after us find it; `.../proxy.DEVICE.json` says what else is to be taken away.
 */
export class ProxyDevices extends DeviceHandler {
  override readonly types = ['proxy'];

  constructor(
    private readonly paths: LxcPaths,
    private readonly processes: ProxyProcesses,
    private readonly firewall: Firewall,
    private readonly logger: Logger,
  ) { super(); }

  /** With `nat` everything is known before the container runs, so that what is wrong keeps it from starting. */
  override async prepare(spec: InstanceSpec, device: DeviceSpec): Promise<DeviceParts> {
    if (isTrue(device.config['nat'])) this.forwardOf(spec, device);
    return super.prepare(spec, device);
  }

  override async started(host: DeviceHost, device: DeviceSpec): Promise<void> {
    if (isTrue(device.config['nat'])) await this.forward(host, device);
    else await this.run(host, device);
  }

  override add(host: DeviceHost, device: DeviceSpec): Promise<void> {
    return this.started(host, device);
  }

  override async remove({ spec }: DeviceHost, device: DeviceSpec): Promise<void> {
    await this.takeAway(spec.projectName, escapeDeviceName(device.name));
  }

  /** Somebody may have killed the process, or flushed the rules. */
  override async adopt(host: DeviceHost, device: DeviceSpec): Promise<void> {
    if (!isTrue(device.config['nat']) && this.processes.find(this.pidFile(host.spec.projectName, escapeDeviceName(device.name))) !== null) return;
    try {
      await this.started(host, device);
    } catch (error) {
      this.logger.error('Failed bringing a proxy back', { instance: host.spec.projectName, device: device.name, error: messageOf(error) });
    }
  }

  override async forget(projectName: string): Promise<void> {
    const directory = this.paths.devices(projectName);
    if (!existsSync(directory)) return;
    const devices = readdirSync(directory).map((name) => /^proxy\.(.+)\.json$/.exec(name)?.[1]).filter((name) => name !== undefined);
    for (const device of devices) await this.takeAway(projectName, device);
  }

  private async run(host: DeviceHost, { name, config }: DeviceSpec): Promise<void> {
    const { spec } = host;
    const file = escapeDeviceName(name);
    const id = (option: string): number | null => ((config[option] ?? '') === '' ? null : Number(config[option]));
    const listen = proxyAddress(config['listen'] ?? '');
    const bind = ['', 'host'].includes(config['bind'] ?? '') ? 'host' : 'instance';
    await this.takeAway(spec.projectName, file);
    try {
      const endpoints = proxyEndpoints(listen, proxyAddress(config['connect'] ?? ''));
      this.remember(spec.projectName, file, { socket: bind === 'host' && listen.protocol === 'unix' && !listen.address.startsWith('@') ? listen.address : '', forward: false });
      await this.processes.start({
        init: host.init, bind, userNamespace: spec.idmap.length > 0, header: isTrue(config['proxy_protocol']), uid: id('security.uid'), gid: id('security.gid'),
        owner: id('uid') ?? 0, group: id('gid') ?? 0, mode: config['mode'] || '0644', ...endpoints,
        pidFile: this.pidFile(spec.projectName, file), logFile: `${this.paths.logs(spec.projectName)}/proxy.${file}.log`,
      });
    } catch (error) {
      rmSync(this.leftoversFile(spec.projectName, file), { force: true });
      throw wrap(error, 'Error occurred when starting proxy device: Error');
    }
  }

  private async forward(host: DeviceHost, device: DeviceSpec): Promise<void> {
    const { spec } = host;
    const forward = this.forwardOf(spec, device);
    this.remember(spec.projectName, escapeDeviceName(device.name), { socket: '', forward: true });
    // The firewall sees what one port of a bridge sends to itself only where the kernel hands bridged packets to it.
    const hostName = host.hostNames[forward.nic];
    const hairpin = `/sys/class/net/${hostName}/brport/hairpin_mode`;
    if (hostName !== undefined && readKernelFlag('/proc/sys/net/bridge/bridge-nf-call-iptables') && existsSync(hairpin)) writeFileSync(hairpin, '1');
    const { nic: _nic, ...rules } = forward;
    await this.firewall.ensureProxyForward({ instance: spec.projectName, device: chainPart(escapeDeviceName(device.name)), ...rules });
  }

  private forwardOf(spec: InstanceSpec, device: DeviceSpec): ReturnType<typeof proxyForward> {
    try {
      return proxyForward(spec, device);
    } catch (error) {
      throw deviceStartError(device.name, error);
    }
  }

  private async takeAway(projectName: string, file: string): Promise<void> {
    const proxy = this.processes.find(this.pidFile(projectName, file));
    if (proxy !== null) this.processes.stop(proxy);
    const { socket, forward } = this.leftovers(projectName, file);
    if (socket !== '') removeSocket(socket);
    if (forward) await this.firewall.removeProxyForward(projectName, chainPart(file));
    rmSync(this.pidFile(projectName, file), { force: true });
    rmSync(this.leftoversFile(projectName, file), { force: true });
  }

  private remember(projectName: string, file: string, leftovers: Leftovers): void {
    mkdirSync(this.paths.devices(projectName), { recursive: true, mode: 0o711 });
    writeWhole(this.leftoversFile(projectName, file), leftovers);
  }

  private leftovers(projectName: string, file: string): Leftovers {
    try {
      return JSON.parse(readFileSync(this.leftoversFile(projectName, file), 'utf8')) as Leftovers;
    } catch {
      return { socket: '', forward: false };
    }
  }

  private pidFile(projectName: string, file: string): string {
    return `${this.paths.devices(projectName)}/proxy.${file}`;
  }

  private leftoversFile(projectName: string, file: string): string {
    return `${this.pidFile(projectName, file)}.json`;
  }
}

/** The firewall's names hold letters, digits, dots and dashes. */
function chainPart(file: string): string {
  return file.replaceAll('%2E', '.').replaceAll(':', '_');
}

/** Only a socket: a file somebody put there meanwhile is not ours. */
function removeSocket(path: string): void {
  const status = lstatSync(path, { throwIfNoEntry: false });
  if (status?.isSocket() === true) unlinkSync(path);
}

function readKernelFlag(path: string): boolean {
  try {
    return readFileSync(path, 'latin1').trim() === '1';
  } catch {
    return false; // The module is not loaded.
  }
}
