import { rmSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { WebSocketServer } from 'ws';
import { Logger, messageOf, StateDirectory } from '#kernel';
import { statusOfError } from '#platform/http';
import { GuestAnswers } from './guest-answers.js';
import { GuestEvents, guestEventTypes } from './guest-events.js';
import { GuestImages } from './guest-images.js';
import { GuestRate } from './guest-rate.js';
import { readCaller, type Caller } from './guest-caller.js';

const maxHeaderBytes = 16 * 1024;
const maxWebSocketPayload = 4096;
const idleMs = 60_000;

interface GuestRequest {
  readonly url: URL;
  /** Parts of the path, decoded. */
  readonly path: readonly string[];
  readonly caller: Caller;
}

/**
 * `/dev/lxd/sock`, as LXD's guests know it. The agent's helper listens there, knows who calls, and hands connections over at a socket only root
 * reaches. Whatever comes after its first line is a guest's: small, paced, and one request at a time.
 */
@Injectable()
export class GuestApi implements OnModuleDestroy {
  private readonly callers = new WeakMap<Duplex, Caller>();
  private readonly busy = new WeakSet<Duplex>();
  private readonly open = new Set<Socket>();
  private readonly rate = new GuestRate();
  private readonly sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, clientTracking: false, maxPayload: maxWebSocketPayload });
  private readonly http = createHttpServer({ maxHeaderSize: maxHeaderBytes, keepAliveTimeout: idleMs, requestTimeout: idleMs, headersTimeout: idleMs }, (request, response) => {
    void this.handle(request, response);
  });
  private readonly door = createServer({ allowHalfOpen: true }, (socket) => this.welcome(socket));

  constructor(
    private readonly state: StateDirectory,
    private readonly answers: GuestAnswers,
    private readonly events: GuestEvents,
    private readonly images: GuestImages,
    private readonly logger: Logger,
  ) {
    this.http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => void this.upgrade(request, socket as Socket, head));
    this.http.on('clientError', (_error, socket) => refuseMalformed(socket));
  }

  /** Repeating it is harmless. */
  listen(): Promise<void> {
    if (this.door.listening) return Promise.resolve();
    rmSync(this.state.guestSocket, { force: true });
    return new Promise((resolve, reject) => {
      this.door.once('error', reject);
      this.door.listen({ path: this.state.guestSocket, backlog: 512 }, () => {
        this.door.off('error', reject);
        this.door.unref();
        resolve();
      });
    });
  }

  onModuleDestroy(): void {
    this.door.close();
    for (const socket of this.open) socket.destroy();
  }

  private welcome(socket: Socket): void {
    this.open.add(socket);
    socket.once('close', () => this.open.delete(socket));
    socket.on('error', () => socket.destroy());
    readCaller(socket, (caller) => {
      this.callers.set(socket, caller);
      this.http.emit('connection', socket);
    });
  }

  /** Null for what is no request of ours; its socket is closed then. Waits until it is the instance's turn. */
  private async admit(request: IncomingMessage): Promise<GuestRequest | null> {
    const { socket } = request;
    const caller = this.callers.get(socket);
    // A second request before the first is answered: clients do not do that, and what waits would lie in our memory.
    if (caller === undefined || this.busy.has(socket)) {
      socket.destroy();
      return null;
    }
    this.busy.add(socket);
    const delay = this.rate.delay(caller.name, performance.now());
    if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
    const url = new URL(`http://guest${(request.url ?? '/').replace(/^[^/]*/, '')}`);
    return socket.destroyed ? null : { url, path: splitPath(url.pathname), caller };
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.resume();
    response.once('close', () => this.busy.delete(request.socket));
    try {
      const admitted = await this.admit(request);
      if (admitted !== null) await this.respond(request, response, admitted);
    } catch (error) {
      if (response.headersSent) response.destroy();
      else sendText(response, statusOfError(error), messageOf(error));
    }
  }

  private async respond(request: IncomingMessage, response: ServerResponse, { url, path, caller }: GuestRequest): Promise<void> {
    const instance = this.answers.identify(caller.name, caller.uid);
    const [version, noun, fingerprint, verb, ...rest] = path;
    if (version === '1.0' && noun === 'images' && fingerprint !== undefined && verb === 'export' && rest.length === 0) {
      this.answers.checkImages(instance);
      return this.images.send(instance, fingerprint, request, response);
    }
    if (url.pathname === '/1.0/events') return this.streamEvents(instance.row.id, url, response);
    const answer = this.answers.answer(instance, path);
    if (answer === null) return sendText(response, 404, '404 page not found');
    if ('text' in answer) send(response, 'application/octet-stream', answer.text);
    else send(response, 'application/json', `${JSON.stringify(answer.json)}\n`);
  }

  /** Without a websocket events are lines without end, of no length and in no chunks. */
  private streamEvents(id: number, url: URL, response: ServerResponse): void {
    const { socket } = response;
    if (socket === null) return;
    response.detachSocket(socket);
    socket.write('HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n\r\n');
    this.events.addStream(id, eventTypes(url), socket);
  }

  private async upgrade(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy());
    try {
      const admitted = await this.admit(request);
      if (admitted === null) return;
      const instance = this.answers.identify(admitted.caller.name, admitted.caller.uid);
      if (admitted.url.pathname !== '/1.0/events') return void socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
      this.sockets.handleUpgrade(request, socket, head, (websocket) => this.events.addWebSocket(instance.row.id, eventTypes(admitted.url), websocket));
    } catch (error) {
      this.logger.debug('Refused a guest its events', { error: messageOf(error) });
      socket.end(`HTTP/1.1 ${statusOfError(error)} \r\nConnection: close\r\n\r\n`);
    }
  }
}

function eventTypes(url: URL): readonly string[] {
  const wanted = url.searchParams.get('type') ?? '';
  return wanted === '' ? guestEventTypes : wanted.split(',');
}

/** A part that is no proper escape names nothing. */
function splitPath(path: string): string[] {
  if (path === '/') return [];
  return path.slice(1).split('/').map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return '';
    }
  });
}

function send(response: ServerResponse, contentType: string, body: string): void {
  response.writeHead(200, { 'Content-Type': contentType, 'Content-Length': Buffer.byteLength(body) }).end(body);
}

/** As Go's `http.Error` has it. */
function sendText(response: ServerResponse, status: number, text: string): void {
  const body = `${text}\n`;
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'X-Content-Type-Options': 'nosniff', 'Content-Length': Buffer.byteLength(body) }).end(body);
}

function refuseMalformed(socket: Duplex): void {
  if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request');
  else socket.destroy();
}
