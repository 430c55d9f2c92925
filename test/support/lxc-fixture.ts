import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, constants, copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NftFirewall } from '#drivers/firewall-nft';
import { claimMemoryDirectory, CommandRunner, Nft } from '#host';
import { projectPrefixed, randomHex, SilentLogger, StateDirectory } from '#kernel';
import { LxcHost, LxcPaths } from '#drivers/instance-lxc';
import type { DeviceSpec, ExecRequest, ExecStarted, InstanceSpec, NicNetwork } from '#ports';

/** Why containers cannot run here; empty where they can. */
export function whyNoContainers(): string {
  if (process.getuid?.() !== 0) return 'containers need root';
  if (!existsSync('/usr/bin/lxc-start')) return 'lxc is not installed';
  if (!existsSync('/usr/bin/busybox')) return 'busybox is not installed';
  if (!existsSync('dist/native/roost-helper')) return 'dist/native/roost-helper is not built (tools/build-native)';
  return '';
}

const applets = ['sh', 'sleep', 'cat', 'echo', 'env', 'id', 'ls', 'mount', 'pwd', 'reboot', 'poweroff', 'halt', 'kill', 'true', 'tty', 'stty', 'touch', 'trap', 'stat', 'ps', 'ip', 'dd', 'head', 'wc', 'seq', 'grep', 'readlink', 'tr', 'yes'];

export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A state directory with containers of busybox in it, driven without daemon and agent. Call `dispose` whatever happens. */
export class LxcFixture {
  readonly state: StateDirectory;
  readonly stateId = randomHex(8);
  readonly paths: LxcPaths;
  host: LxcHost;
  /** Hardware other than the host's, for hosts opened from then on. */
  deviceRoots = { sysfs: '/sys', dev: '/dev', proc: '/proc' };
  /** Programs in the place of the host's, likewise. */
  commands = new CommandRunner();
  swtpm = 'swtpm';
  private readonly specs = new Map<string, InstanceSpec>();
  private nextId = 1;

  constructor(readonly root = mkdtempSync(join(tmpdir(), 'roost-lxc-'))) {
    this.state = new StateDirectory(root);
    this.paths = new LxcPaths(this.state, this.stateId, claimMemoryDirectory(`roost-${this.stateId}`));
    // A container's root passes through every directory above its own files.
    mkdirSync(root, { recursive: true });
    chmodSync(root, 0o711);
    mkdirSync(this.state.run, { recursive: true, mode: 0o711 });
    mkdirSync(`${this.state.volume('p', 'container', 'x')}/..`, { recursive: true, mode: 0o711 });
    this.host = this.newHost();
  }

  /** An agent's worth of drivers; a second one takes over when the first is closed. */
  newHost(): LxcHost {
    return new LxcHost({
      state: this.state, stateId: this.stateId, commands: this.commands, logger: new SilentLogger(), daemon: { uid: 0, gid: 0 }, deviceRoots: this.deviceRoots, swtpm: this.swtpm,
      volumeUsage: async () => ({ usedBytes: -1, totalBytes: 0 }),
      firewall: new NftFirewall({ nft: new Nft(new CommandRunner()), state: this.state, stateId: this.stateId, logger: new SilentLogger() }),
    });
  }

  open(): Promise<void> {
    return this.host.open();
  }

  async restartAgent(): Promise<void> {
    this.host.close();
    this.host = this.newHost();
    await this.host.open();
  }

  /** A root file system and a specification; `config` is the instance's expanded one. */
  async create(name: string, config: Record<string, string> = {}, devices: DeviceSpec[] = [], nics: NicNetwork[] = []): Promise<InstanceSpec> {
    const spec = this.spec(name, config, devices, nics);
    const volume = this.state.volume('p', 'container', spec.projectName);
    this.makeRootfs(`${volume}/rootfs`);
    chmodSync(volume, 0o100);
    await this.host.instances.createInstance(spec);
    return spec;
  }

  spec(name: string, config: Record<string, string> = {}, devices: DeviceSpec[] = [], nics: NicNetwork[] = []): InstanceSpec {
    const projectName = projectPrefixed('default', name);
    const map = { hostId: 1_000_000, nsId: 0, range: 65_536 };
    const spec: InstanceSpec = {
      id: this.specs.get(name)?.id ?? this.nextId++, project: 'default', name, projectName, type: 'container', architecture: 'x86_64', ephemeral: false, config,
      devices: [{ name: 'root', config: { type: 'disk', path: '/', pool: 'p' } }, ...devices], volumes: [], nics, placementEpoch: 1,
      rootVolume: { pool: { name: 'p', driver: 'dir', config: {} }, kind: 'container', name: projectName },
      idmap: config['security.privileged'] === 'true' ? [] : [{ isUid: true, isGid: false, ...map }, { isUid: false, isGid: true, ...map }],
    };
    this.specs.set(name, spec);
    return spec;
  }

  /** `/sbin/init` sleeps until it is told to halt (SIGPWR), reboot (SIGTERM) or power off. */
  makeRootfs(rootfs: string): void {
    for (const directory of ['bin', 'sbin', 'etc', 'proc', 'sys', 'dev', 'tmp', 'root', 'mnt']) mkdirSync(`${rootfs}/${directory}`, { recursive: true });
    copyFileSync('/usr/bin/busybox', `${rootfs}/bin/busybox`);
    for (const applet of applets) symlinkSync('busybox', `${rootfs}/bin/${applet}`);
    writeFileSync(`${rootfs}/etc/passwd`, 'root:x:0:0:root:/root:/bin/sh\n');
    writeFileSync(`${rootfs}/sbin/init`, '#!/bin/sh\ntrap "exit 0" PWR\ntrap "/bin/reboot -f" TERM\necho booted\nwhile :; do sleep 1000 & wait; done\n', { mode: 0o755 });
  }

  /** Runs a command and collects everything, as a daemon would. */
  async run(name: string, command: string[], options: Partial<ExecRequest> & { input?: string } = {}): Promise<ExecResult> {
    const started = await this.host.exec.startExec({
      projectName: name, command, environment: {}, user: 0, group: 0, cwd: '', interactive: false, ends: 'all', width: 0, height: 0, endpointUid: 0, endpointGid: 0, ...options,
    });
    const exit = this.host.exec.waitExec(started.sessionId, new AbortController().signal);
    // Awaited below, after the outputs.
    exit.catch(() => {});
    if (started.stdinPath !== '') {
      const stdin = new net.Socket({ fd: openSync(started.stdinPath, constants.O_WRONLY | constants.O_NONBLOCK), writable: true, readable: false });
      stdin.on('error', () => {});
      stdin.end(options.input ?? '');
    }
    const outputs = [started.stdoutPath, started.stderrPath].map((path) => (path === '' ? '' : readAll(path)));
    openGate(started);
    const [stdout = '', stderr = '', exitCode] = [...(await Promise.all(outputs)), await exit] as [string, string, number];
    return { exitCode, stdout, stderr };
  }

  /** Ends and removes everything this fixture made. */
  async dispose(): Promise<void> {
    for (const name of this.specs.keys()) {
      await this.host.instances.stopInstance({ projectName: name, clean: false, timeoutMs: 0 });
      await this.host.instances.destroyInstance(name);
    }
    this.host.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** All ends are open: the command may begin. */
export function openGate({ gatePath }: ExecStarted): void {
  if (gatePath !== '') closeSync(openSync(gatePath, constants.O_WRONLY | constants.O_NONBLOCK));
}

export function readAll(path: string): Promise<string> {
  const socket = new net.Socket({ fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), readable: true, writable: false });
  const { promise, resolve } = Promise.withResolvers<string>();
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.on('close', () => resolve(Buffer.concat(chunks).toString()));
  return promise;
}

/** Output of a host command, for looking at things from outside. */
export function shell(...argv: [string, ...string[]]): string {
  return execFileSync(argv[0], argv.slice(1), { encoding: 'utf8' });
}

/** What a process has in its memory of its own, as text. */
export function memoryOf(pid: number): string {
  const fd = openSync(`/proc/${pid}/mem`, constants.O_RDONLY);
  try {
    return readProc(pid, 'maps').split('\n').filter((line) => / rw-p .* 0 +(\[heap\])?$/.test(line)).map((line) => {
      const [from = 0, to = 0] = line.split(' ')[0]!.split('-').map((address) => Number(`0x${address}`));
      const bytes = Buffer.alloc(to - from);
      return bytes.toString('latin1', 0, readSync(fd, bytes, 0, bytes.length, from));
    }).join('');
  } finally {
    closeSync(fd);
  }
}

export function readProc(pid: number, file: string): string {
  return readFileSync(`/proc/${pid}/${file}`, 'utf8');
}

/** Waits for a condition, looking every few milliseconds. */
export async function until(condition: () => boolean | Promise<boolean>, timeoutMs = 5000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('The condition did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
