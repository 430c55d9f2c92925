/** Where things lie below the state directory (`ROOST_DIR`). Pure text: makes and reads nothing. Layout as `lxd` has it. */
export class StateDirectory {
  constructor(readonly root: string) {}

  get socket(): string { return `${this.root}/unix.socket`; }
  /** 16 hex digits telling this state directory from others on the host; written by the agent, world-readable. */
  get stateIdFile(): string { return `${this.root}/state-id`; }
  /** Written by the daemon. */
  get database(): string { return `${this.root}/database`; }
  /** Written by the daemon: bodies of uploads until the agent adopts them. */
  get uploads(): string { return `${this.root}/uploads`; }
  get backups(): string { return `${this.root}/backups`; }
  /** Of a machine that is a witness of a cluster, and no member. */
  get witness(): string { return `${this.root}/witness`; }
  get images(): string { return `${this.root}/images`; }
  get run(): string { return `${this.root}/run`; }
  /** Directory 0750 root:<daemon's group>; holds the agent's socket. */
  get agentRun(): string { return `${this.root}/run/agent`; }
  get agentSocket(): string { return `${this.root}/run/agent/agent.sock`; }
  /** Made by the daemon: its own sockets. */
  get daemonRun(): string { return `${this.root}/run/daemon`; }
  /** Where callers of the guest API are handed to the daemon. */
  get guestSocket(): string { return `${this.daemonRun}/guest.socket`; }
  /** What containers see as /dev/lxd. */
  get devlxd(): string { return `${this.root}/devlxd`; }
  get storagePools(): string { return `${this.root}/storage-pools`; }
  get disks(): string { return `${this.root}/disks`; }
  get networks(): string { return `${this.root}/networks`; }
  get devices(): string { return `${this.root}/devices`; }
  get shmounts(): string { return `${this.root}/shmounts`; }
  get serverCertificate(): string { return `${this.root}/server.crt`; }
  get serverKey(): string { return `${this.root}/server.key`; }
  get clusterCertificate(): string { return `${this.root}/cluster.crt`; }
  get clusterKey(): string { return `${this.root}/cluster.key`; }

  pool(name: string): string { return `${this.storagePools}/${name}`; }
  /** Mount point of a volume; `kind` is `container`, `virtual-machine`, `image` or `custom`. */
  volume(pool: string, kind: string, name: string): string {
    return `${this.pool(pool)}/${kind === 'custom' ? 'custom' : `${kind}s`}/${name}`;
  }
  logs(projectName: string): string { return `${this.root}/logs/${projectName}`; }
  network(name: string): string { return `${this.networks}/${name}`; }
  /** Link to the directory of an instance's snapshots: `snapshots/c1`. */
  snapshotsLink(projectName: string): string { return `${this.root}/snapshots/${projectName}`; }
  /** Link to the root volume: `containers/c1`. */
  instanceLink(type: 'container' | 'virtual-machine', projectName: string): string { return `${this.root}/${type}s/${projectName}`; }
}

/** The name an object of a project has on disk: unprefixed in the default project, as LXD does. */
export function projectPrefixed(project: string, name: string): string {
  return project === 'default' ? name : `${project}_${name}`;
}
