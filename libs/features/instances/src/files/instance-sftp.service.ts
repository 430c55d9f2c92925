import net from 'node:net';
import type { Duplex } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { unavailable, type RequestContext } from '#kernel';
import { WebSocketRouter } from '#platform/http';
import { collections, treeOf } from '../api/instance-tree.js';
import { InstancesService } from '../instances.service.js';
import { InstanceFileSessions } from './instance-file-sessions.js';

/** `GET /1.0/instances/{name}/sftp` with `Upgrade: sftp`: the connection becomes one to the server of files, byte by byte. */
@Injectable()
export class InstanceSftp {
  constructor(
    private readonly router: WebSocketRouter,
    private readonly instances: InstancesService,
    private readonly sessions: InstanceFileSessions,
  ) {}

  register(): void {
    for (const path of collections) {
      this.router.registerProtocol(`${path}/:name/sftp`, 'sftp', (ctx, params, _query, accept) => this.connect(ctx, path, params['name'] ?? '', accept));
    }
  }

  private async connect(ctx: RequestContext, collection: string, name: string, accept: () => Duplex): Promise<void> {
    const instance = await this.instances.get(ctx.project, name, treeOf(`${collection}/`));
    const server = await this.sessions.open(instance, 'instance', openSocket);
    const client = accept();
    // An end either way is passed on; a break on one side is one on the other.
    for (const [from, to] of [[client, server], [server, client]] as const) {
      from.pipe(to);
      from.once('error', () => to.destroy());
      from.once('close', () => to.destroy());
    }
  }
}

async function openSocket(path: string): Promise<net.Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<net.Socket>();
  const socket = net.connect({ path, allowHalfOpen: true }, () => resolve(socket));
  socket.once('error', (error) => reject(unavailable('The server of files does not answer', { cause: error })));
  return promise;
}
