import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/**
 * A network for members that each live in a mount and network namespace of their own: a bridge in a namespace that is nobody's, and a link from it
 * to each member. Nothing of it has a name on the host: it goes when the last process inside goes.
 */
export class ClusterNetwork {
  private hub: Room | undefined;
  private readonly rooms = new Map<number, Room>();

  constructor(private readonly root: string) {}

  /** Members' addresses are the same in every cluster: they meet nobody else's. */
  static address(index: number): string { return `10.37.0.${index}`; }

  async open(): Promise<void> {
    this.hub = await Room.open(this.root);
    this.hub.must('ip link add hub type bridge', 'ip link set hub up');
  }

  /** Makes the namespaces of member `index` (1, 2, ...); they outlive its daemons. */
  async add(index: number): Promise<void> {
    if (!this.hub) throw new Error('The network is not open');
    const room = await Room.open(this.root);
    this.hub.must(`ip link add m${index} type veth peer name eth0 netns ${room.pid}`, `ip link set m${index} master hub up`);
    room.must(
      `ip address add ${ClusterNetwork.address(index)}/24 dev eth0`, 'ip link set eth0 up',
      'nft add table inet nemesis',
      ...['in', 'out'].flatMap((way) => [
        `nft 'add set inet nemesis ${way} { type ipv4_addr; }'`,
        `nft 'add chain inet nemesis ${way} { type filter hook ${way}put priority -300; }'`,
        `nft add rule inet nemesis ${way} ip ${way === 'in' ? 's' : 'd'}addr @${way} drop`,
      ]),
    );
    this.rooms.set(index, room);
  }

  /** Command words that run what follows them in member `index`'s namespaces, without a process between. */
  enter(index: number): string[] { return this.room(index).enter; }

  /** Packets from one member to another vanish from now on; what is established stalls, as behind a broken cable. */
  cut(from: number, to: number): void {
    this.room(to).must(`nft add element inet nemesis in '{ ${ClusterNetwork.address(from)} }'`);
  }

  heal(): void {
    for (const room of this.rooms.values()) room.must('nft flush set inet nemesis in', 'nft flush set inet nemesis out');
  }

  close(): void {
    for (const room of [...this.rooms.values(), ...(this.hub ? [this.hub] : [])]) room.close();
    this.rooms.clear();
    this.hub = undefined;
  }

  private room(index: number): Room {
    const room = this.rooms.get(index);
    if (!room) throw new Error(`Member ${index} has no namespaces`);
    return room;
  }
}

/** A mount and a network namespace, held open by a process that does nothing. */
class Room {
  private constructor(private readonly holder: ChildProcess) {}

  /** /sys shows the namespace that mounted it: links would be the host's without a new one, and cgroups are missing in a new one. */
  static async open(root: string): Promise<Room> {
    const cgroups = join(root, 'cgroups');
    const holder = spawn('unshare', ['--mount', '--net', '--propagation', 'private', 'sh', '-c', `
      ip link set lo up && mkdir -p '${cgroups}' && mount --rbind /sys/fs/cgroup '${cgroups}' && mount -t sysfs sysfs /sys &&
      mount --move '${cgroups}' /sys/fs/cgroup && echo open && exec sleep infinity`],
    { stdio: ['ignore', 'pipe', 'inherit'], detached: true, env: { PATH: process.env['PATH'], MEMBER_ROOT: root } });
    const [first] = (await Promise.race([once(holder.stdout, 'data'), once(holder, 'exit')])) as unknown[];
    if (String(first).trim() !== 'open') throw new Error(`A namespace could not be made: ${String(first)}`);
    holder.stdout.destroy();
    return new Room(holder);
  }

  get pid(): number { return this.holder.pid!; }

  get enter(): string[] { return ['nsenter', '--target', String(this.pid), '--mount', '--net']; }

  must(...lines: string[]): void {
    const [command, ...words] = this.enter;
    const done = spawnSync(command!, [...words, 'sh', '-ec', lines.join('\n')], { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`${lines.join('; ')}: ${done.stderr}`);
  }

  close(): void { this.holder.kill('SIGKILL'); }
}
