import { Module, type DynamicModule } from '@nestjs/common';
import type { Logger, LogFields, RequestContext, StateDirectory } from '#kernel';
import { AuthModule } from '#platform/auth';
import { DatabaseModule } from '#platform/database';
import { EventBus, EventBusModule } from '#platform/events';
import { createApiApp, HttpModule, type ApiApp } from '#platform/http';
import { OperationsModule, OperationsService } from '#platform/operations';
import { PeersModule } from '#platform/peers';
import { ReconcileModule } from '#platform/reconcile';
import type { AgentChannel } from '#platform/rpc';
import { ClusterVotersModule } from './cluster-voters.js';
import { agentBindings, FoundationModule, type PortBindings } from './bindings.js';
import { featureModules, startFeatures, stopInstances } from './features.js';

export interface ApiOptions {
  readonly state: StateDirectory;
  readonly logger: Logger;
  readonly channel: AgentChannel;
  readonly group: string;
  readonly socketPath: string;
  /** Stops instances and then ends the process; `/internal/shutdown` answers when it resolves. */
  readonly requestShutdown: (force: boolean) => Promise<void>;
  /** Instead of the agent's, for a daemon on the fake host. */
  readonly ports?: PortBindings;
}

@Module({})
class DaemonModule {
  static forRoot(options: ApiOptions): DynamicModule {
    return {
      module: DaemonModule,
      imports: [
        FoundationModule.forRoot({ state: options.state, logger: options.logger, ports: options.ports ?? agentBindings(options.channel) }),
        DatabaseModule.forRoot({ directory: options.state.database }),
        AuthModule.forRoot({ directory: options.state }),
        ClusterVotersModule,
        EventBusModule,
        OperationsModule.forRoot(),
        ReconcileModule,
        HttpModule,
        PeersModule,
        ...featureModules(),
      ],
    };
  }
}

/** Builds the application, listens on the unix socket, and hands out what the daemon's life needs. */
export async function startApi(options: ApiOptions) {
  const api: ApiApp = await createApiApp(DaemonModule.forRoot(options));
  const { app, server } = api;
  if (!(await server.listenActivated())) await server.listenUnix(options.socketPath, options.group === '' ? undefined : options.group);
  const events = app.get(EventBus);
  return {
    app,
    server,
    publishLog: (level: string, message: string, fields: LogFields): void => {
      events.logging({ level: level === 'warn' ? 'warning' : (level as 'debug' | 'info' | 'error'), message, context: textual(fields) });
    },
    /** Early start work: pools and networks as they were, half-done work finished or undone, instances that ran before. */
    startUp: async (): Promise<void> => {
      await startFeatures(app, options.requestShutdown, () => app.get(OperationsService).recover());
    },
    shutDownInstances: (ctx: RequestContext, force: boolean): Promise<void> => stopInstances(app, ctx, force),
    close: async (): Promise<void> => {
      await server.close(500);
      await app.close();
    },
  };
}

/** The event stream carries texts only. */
function textual(fields: LogFields): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, typeof value === 'string' ? value : JSON.stringify(value) ?? '']));
}
