import { Global, Module, type DynamicModule, type Provider } from '@nestjs/common';
import { Clock, LocalMember, Logger, StateDirectory, SystemClock } from '#kernel';
import { ExecSessions, HostInfo, ImageStore, InstanceCheckpoints, InstanceDriver, InstanceFiles, InstanceLogs, NetworkDriver, ServerDirectories, StorageDriver, VolumeArchives, VolumeMigration, VolumeSnapshots, VolumeTransfer } from '#ports';
import { RemoteExecSessions, RemoteHostInfo, RemoteImageStore, RemoteInstanceCheckpoints, RemoteInstanceDriver, RemoteInstanceFiles, RemoteInstanceLogs, RemoteNetworkDriver, RemoteServerDirectories, RemoteStorageDriver, RemoteVolumeArchives, RemoteVolumeMigration, RemoteVolumeSnapshots, RemoteVolumeTransfer } from '#platform/agent-client';
import { EtcdLauncher } from '#platform/raft';
import { AgentChannel } from '#platform/rpc';
import { EtcdSupervisor } from './supervise/etcd-supervisor.js';

/** Ports by class, bound to whatever carries them out: the local agent in the daemon, the fake host in tests. */
export type PortBindings = readonly Provider[];

export function agentBindings(channel: AgentChannel): PortBindings {
  return [
    { provide: StorageDriver, useFactory: () => new RemoteStorageDriver(channel) },
    { provide: VolumeSnapshots, useFactory: () => new RemoteVolumeSnapshots(channel) },
    { provide: VolumeMigration, useFactory: () => new RemoteVolumeMigration(channel) },
    { provide: VolumeTransfer, useFactory: () => new RemoteVolumeTransfer(channel) },
    { provide: ServerDirectories, useFactory: () => new RemoteServerDirectories(channel) },
    { provide: VolumeArchives, useFactory: () => new RemoteVolumeArchives(channel) },
    { provide: ImageStore, useFactory: () => new RemoteImageStore(channel) },
    { provide: NetworkDriver, useFactory: () => new RemoteNetworkDriver(channel) },
    { provide: InstanceDriver, useFactory: () => new RemoteInstanceDriver(channel) },
    { provide: ExecSessions, useFactory: () => new RemoteExecSessions(channel) },
    { provide: InstanceCheckpoints, useFactory: () => new RemoteInstanceCheckpoints(channel) },
    { provide: InstanceLogs, useFactory: () => new RemoteInstanceLogs(channel) },
    { provide: InstanceFiles, useFactory: () => new RemoteInstanceFiles(channel) },
    { provide: HostInfo, useFactory: () => new RemoteHostInfo(channel) },
  ];
}

/** What every part may ask for: state directory, logger, clock and the ports. */
@Global()
@Module({})
export class FoundationModule {
  static forRoot(options: { state: StateDirectory; logger: Logger; clock?: Clock; ports: PortBindings }): DynamicModule {
    const tokens = options.ports.map((provider) => (typeof provider === 'function' ? provider : provider.provide));
    return {
      module: FoundationModule,
      providers: [
        { provide: StateDirectory, useValue: options.state },
        { provide: Logger, useValue: options.logger },
        { provide: LocalMember, useValue: new LocalMember() },
        { provide: Clock, useValue: options.clock ?? new SystemClock() },
        { provide: EtcdLauncher, useFactory: (logger: Logger) => new EtcdSupervisor(logger), inject: [Logger] },
        ...options.ports,
      ],
      exports: [StateDirectory, LocalMember, Logger, Clock, EtcdLauncher, ...tokens],
    };
  }
}
