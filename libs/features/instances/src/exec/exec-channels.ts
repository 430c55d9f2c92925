import { internal, randomHex } from '#kernel';
import type { WebSocket } from 'ws';

const connectPatienceMs = 5000;

/** `0` input (or the terminal), `1` output, `2` errors, `control` resizes and signals. */
export type ChannelName = '0' | '1' | '2' | 'control';

/**
 * The websockets of one exec, found by their secrets. The command starts once all but `control`, which is optional, are connected.
 */
export class ExecChannels {
  /** By name, as the operation's metadata shows them. */
  readonly secrets: Readonly<Record<string, string>>;
  private readonly sockets = new Map<ChannelName, WebSocket>();
  private readonly taken = new Set<ChannelName>();
  private readonly connected = Promise.withResolvers<void>();
  private readonly controlListeners: ((control: WebSocket) => void)[] = [];

  constructor(private readonly names: readonly ChannelName[]) {
    this.secrets = Object.fromEntries(names.map((name) => [name, randomHex(32)]));
  }

  /** @throws `internal` in LXD's words for a secret that is wrong or used. */
  async connect(secret: string, accept: () => Promise<WebSocket>): Promise<void> {
    const name = this.names.find((candidate) => this.secrets[candidate] === secret);
    if (name === undefined || this.taken.has(name)) throw internal('permission denied');
    this.taken.add(name);
    const socket = await accept();
    // An error is followed by a close; without a listener it would end the daemon.
    socket.on('error', () => {});
    // Nothing is lost that arrives before the command runs.
    socket.pause();
    this.sockets.set(name, socket);
    if (name === 'control') for (const listener of this.controlListeners) this.introduce(listener, socket);
    if (this.names.every((needed) => needed === 'control' || this.sockets.has(needed))) this.connected.resolve();
  }

  /** Waits for the needed channels. @throws `internal` when nobody comes. */
  async wait(): Promise<void> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(internal('Timed out waiting for websockets to connect')), connectPatienceMs);
    try {
      await Promise.race([this.connected.promise, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  get(name: ChannelName): WebSocket {
    const socket = this.sockets.get(name);
    if (socket === undefined) throw internal(`Channel "${name}" is not connected`);
    return socket;
  }

  /** Called with the control channel, now or when it comes. */
  onControl(listener: (control: WebSocket) => void): void {
    this.controlListeners.push(listener);
    const control = this.sockets.get('control');
    if (control) this.introduce(listener, control);
  }

  private introduce(listener: (control: WebSocket) => void, control: WebSocket): void {
    listener(control);
    control.resume();
  }

  get hasControl(): boolean {
    return this.sockets.has('control');
  }

  closeControl(): void {
    this.sockets.get('control')?.close();
  }

  /** Everything queued is still delivered. */
  close(): void {
    for (const socket of this.sockets.values()) {
      socket.resume();
      socket.close();
    }
  }
}
