import { instanceExecControl } from '#api-types';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, internal, Logger, messageOf } from '#kernel';
import { ExecSessions, type ExecRequest, type ExecStarted } from '#ports';
import type { Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import { openGate, openReader, openTerminal, openWriter } from '#platform/agent-client';
import type { ExecChannels } from './exec-channels.js';
import { OutputPump } from './output-pump.js';
import { drain, pumpInput, pumpTerminal } from './websocket-pump.js';

const sighup = 1;
const sigkill = 9;
/** How long a command outlives the agent. */
const agentPatienceMs = 15_000;
const agentPollMs = 100;

/** Files for the output of a command without websockets. */
export interface ExecOutputs {
  readonly stdout: Writable;
  readonly stderr: Writable;
}

/** A command's output on its way, and how to let go of what is still open when it has ended. */
interface Output {
  readonly done: Promise<unknown>;
  readonly release: () => void;
}

const nothing: Output = { done: Promise.resolve(), release: () => {} };

/** One command inside an instance, from its start to its end, and the way of its bytes. Lives in this process only. */
export class ExecCommand {
  private ended = false;

  constructor(
    private readonly sessions: ExecSessions,
    private readonly logger: Logger,
  ) {}

  /** With websockets. Resolves with the exit code when the command has ended and all its output was handed over. */
  async runConnected(request: ExecRequest, channels: ExecChannels): Promise<number> {
    const started = await this.sessions.startExec(request);
    channels.onControl((control) => this.obey(control, started));
    const output = request.interactive ? await this.connectTerminal(started, channels) : await this.connectPipes(started, channels);
    return this.outcome(started, output, () => channels.closeControl());
  }

  /** Without: there is no terminal, input is empty, output goes to files or nowhere. */
  async runDetached(request: ExecRequest, outputs: ExecOutputs | null): Promise<number> {
    const started = await this.sessions.startExec({ ...request, interactive: false, ends: outputs === null ? 'none' : 'output' });
    const output = outputs === null ? nothing : await this.record(started, outputs);
    return this.outcome(started, output, () => {});
  }

  /** The endpoints are open by now: they go when the end is waited for, which may have come already. */
  private async outcome(started: ExecStarted, output: Output, onExit: () => void): Promise<number> {
    try {
      const code = await this.waitFor(started);
      this.ended = true;
      onExit();
      await output.done;
      return code;
    } finally {
      this.ended = true;
      output.release();
    }
  }

  /** A restarted agent takes its sessions up again, so losing it is no end. */
  private async waitFor({ sessionId }: ExecStarted): Promise<number> {
    const { signal } = new AbortController();
    let lostAtMs = Infinity;
    for (;;) {
      try {
        return await this.sessions.waitExec(sessionId, signal);
      } catch (error) {
        lostAtMs = Math.min(lostAtMs, performance.now());
        if (!AppError.is(error, 'unavailable') || performance.now() - lostAtMs > agentPatienceMs) throw error;
        await sleep(agentPollMs);
      }
    }
  }

  private async connectPipes(started: ExecStarted, channels: ExecChannels): Promise<Output> {
    const pumps = [new OutputPump(channels.get('1')), new OutputPump(channels.get('2'))] as const;
    const [stdin, stdout, stderr] = await Promise.all([
      openWriter(started.stdinPath), openReader(started.stdoutPath, pumps[0].onread), openReader(started.stderrPath, pumps[1].onread),
    ]);
    openGate(started.gatePath);
    pumpInput(channels.get('0'), stdin);
    const done = Promise.all([pumps[0].follow(stdout), pumps[1].follow(stderr)]);
    for (const name of ['0', '1', '2'] as const) channels.get(name).resume();
    return { done, release: () => stdin.destroy() };
  }

  private async connectTerminal(started: ExecStarted, channels: ExecChannels): Promise<Output> {
    const terminal = await openTerminal(started.terminalPath);
    const client = channels.get('0');
    const done = pumpTerminal(terminal, client);
    client.once('close', () => {
      // With a control channel its end says that the client has gone; without one this is all there is.
      if (!channels.hasControl) this.signal(started, sighup);
    });
    client.resume();
    return { done, release: () => terminal.destroy() };
  }

  private async record(started: ExecStarted, outputs: ExecOutputs): Promise<Output> {
    const [stdout, stderr] = await Promise.all([openReader(started.stdoutPath), openReader(started.stderrPath)]);
    openGate(started.gatePath);
    return { done: Promise.all([drain(stdout, outputs.stdout), drain(stderr, outputs.stderr)]), release: () => {} };
  }

  /** Resizes and signals; a control channel that breaks takes the command with it. */
  private obey(control: WebSocket, started: ExecStarted): void {
    control.on('message', (data: Buffer) => {
      try {
        const message = instanceExecControl.parse(JSON.parse(data.toString()));
        if (message.command === 'signal') this.signal(started, message.signal ?? 0);
        else if (message.command === 'window-resize') this.resize(started, Number(message.args?.width), Number(message.args?.height));
      } catch (error) {
        this.logger.debug('Ignoring a message on the control channel of a command', { error: messageOf(error) });
      }
    });
    control.once('close', () => this.signal(started, sigkill));
  }

  private resize({ sessionId }: ExecStarted, width: number, height: number): void {
    if (this.ended || !Number.isInteger(width) || !Number.isInteger(height)) return;
    this.sessions.resizeExec(sessionId, width, height).catch((error: unknown) => this.logger.debug('Failed resizing a terminal', { error: messageOf(error) }));
  }

  private signal({ sessionId }: ExecStarted, signal: number): void {
    if (this.ended || signal <= 0) return;
    this.sessions.signalExec(sessionId, signal).catch((error: unknown) => this.logger.debug('Failed signalling a command', { signal, error: messageOf(error) }));
  }
}

/** What LXD makes of the two exit codes a shell keeps for itself. */
export function refuseShellCodes(exitCode: number): void {
  if (exitCode === 127) throw internal('Command not found');
  if (exitCode === 126) throw internal('Command not executable');
}
