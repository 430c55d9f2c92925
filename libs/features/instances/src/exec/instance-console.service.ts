import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { instanceExecControl, type InstanceConsolePost } from '#api-types';
import { internal, invalid, Logger, messageOf, type RequestContext } from '#kernel';
import { ExecSessions } from '#ports';
import { OperationsService, type OperationHandle } from '#platform/operations';
import { WebSocket } from 'ws';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { hostName, instanceResources } from '../instance-urls.js';
import { PowerStates } from '../power-states.js';
import { openTerminal, ownEndpoint } from '#platform/agent-client';
import { ExecChannels } from './exec-channels.js';
import { pumpTerminal } from './websocket-pump.js';

const sighup = 1;
/** How long a client whose console was taken over may take to go. */
const takeoverPatienceMs = 5000;
/** What LXD's own process for the console writes to the client's terminal when LXC refuses, which it does when somebody is there already. */
const refusal = 'Error: Failed running forkconsole: "attaching to the container failed"\n\r';

interface Attached {
  /** Of the agent's session. */
  readonly id: string;
  /** It was told to end. */
  leaving: boolean;
  /** Ends the session; resolves when the console is free. */
  readonly end: () => Promise<void>;
}

/** Either of the client's channels going is the end: it has nothing to see any more, or nothing to say. */
function endWith(channel: WebSocket, session: Attached): void {
  channel.once('close', () => void session.end());
  if (channel.readyState === WebSocket.CLOSED) void session.end();
}

/** `POST /1.0/instances/{name}/console`: the console of an instance, for one client at a time. */
@Injectable()
export class InstanceConsole {
  /** By host name. */
  private readonly attached = new Map<string, Attached>();

  constructor(
    private readonly states: PowerStates,
    private readonly sessions: ExecSessions,
    private readonly operations: OperationsService,
    private readonly events: InstanceLifecycleEvents,
    private readonly logger: Logger,
  ) {}

  async attach(ctx: RequestContext, instance: ExpandedInstance, request: InstanceConsolePost): Promise<OperationHandle> {
    const type = request.type || 'console';
    if (type === 'vga') throw invalid('VGA console is only supported by virtual machines');
    if (type !== 'console') throw invalid(`Unknown console type "${type}"`);
    const { power } = this.states.get(hostName(instance.row));
    if (power === 'Stopped') throw invalid('Instance is not running');
    if (power === 'Frozen') throw invalid('Instance is frozen');
    const channels = new ExecChannels(['0', 'control']);
    return this.operations.runInMemory(ctx, {
      kind: 'instance.console', class: 'websocket', description: 'Showing console', resources: instanceResources(instance.row),
      metadata: { fds: channels.secrets },
      connect: (secret, accept) => channels.connect(secret, accept),
      run: async () => {
        try {
          await channels.wait();
          this.events.send('console', instance.row, { context: { type } });
          await this.show(instance, request, channels);
        } finally {
          setImmediate(() => channels.close());
        }
      },
    });
  }

  private async show({ row }: ExpandedInstance, request: InstanceConsolePost, channels: ExecChannels): Promise<void> {
    const projectName = hostName(row);
    const before = this.attached.get(projectName);
    if (before && (before.leaving || request.force === true)) await before.end();
    const { sessionId, terminalPath } = await this.sessions.startConsole({
      projectName, width: request.width ?? 0, height: request.height ?? 0, ...ownEndpoint,
    });
    const terminal = await openTerminal(terminalPath);
    const exit = this.sessions.waitExec(sessionId, new AbortController().signal);
    const lastWords = exit.then(() => '', (error: unknown) => this.refuse(projectName, error));
    const own = this.session(sessionId, lastWords);
    // One that is refused does not own the console: whoever was there first is still the one to end.
    if (before === undefined || before.leaving) this.attached.set(projectName, own);
    const client = channels.get('0');
    const shown = pumpTerminal(terminal, client, lastWords);
    endWith(client, own);
    channels.onControl((control) => this.obey(control, own));
    client.resume();
    const words = await lastWords;
    await shown;
    if (this.attached.get(projectName) === own) this.attached.delete(projectName);
    terminal.destroy();
    if (words !== '') throw internal('attaching to the container failed');
  }

  private session(id: string, ended: Promise<unknown>): Attached {
    const own: Attached = {
      id, leaving: false,
      end: async () => {
        if (!own.leaving) this.sessions.signalExec(id, sighup).catch((error: unknown) => this.logger.debug('Failed ending a console', { error: messageOf(error) }));
        own.leaving = true;
        await Promise.race([ended, sleep(takeoverPatienceMs, undefined, { ref: false })]);
      },
    };
    return own;
  }

  private refuse(projectName: string, error: unknown): string {
    this.logger.info('Failed attaching to a console', { instance: projectName, error: messageOf(error) });
    return refusal;
  }

  /** Window sizes only; a signal has nobody to go to. */
  private obey(control: WebSocket, session: Attached): void {
    endWith(control, session);
    control.on('message', (data: Buffer) => {
      const { command, args } = readControl(data);
      const [width, height] = [Number(args?.['width']), Number(args?.['height'])];
      if (command !== 'window-resize' || !Number.isInteger(width) || !Number.isInteger(height)) return;
      this.sessions.resizeExec(session.id, width, height).catch((error: unknown) => this.logger.debug('Failed resizing a console', { error: messageOf(error) }));
    });
  }
}

/** A message that cannot be understood is one without a command. */
function readControl(data: Buffer): { command: string; args?: Readonly<Record<string, string>> | null | undefined } {
  try {
    return instanceExecControl.parse(JSON.parse(data.toString()));
  } catch {
    return { command: '' };
  }
}
