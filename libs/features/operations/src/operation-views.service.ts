import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { WebSocket } from 'ws';
import type { Operation } from '#api-types';
import { forbidden, internal, invalid, notFound, type RequestContext } from '#kernel';
import { mayAccessProject } from '#platform/auth';
import { emptyResponse, isAllProjects, parseRecursion, RequestRouter, WebSocketRouter, type ApiResponse } from '#platform/http';
import { ClusterOperations, OperationsService, type PeerOperation } from '#platform/operations';

/** `{ running: [...], success: [...] }`: URLs, or operations with recursion. */
export type OperationsByStatus = Record<string, (string | Operation)[]>;

/** What `/1.0/operations` shows: the operations of all members. Websockets are passed on to the member that has the operation. */
@Injectable()
export class OperationViews implements OnModuleInit {
  constructor(
    private readonly operations: ClusterOperations,
    private readonly own: OperationsService,
    private readonly router: WebSocketRouter,
    private readonly members: RequestRouter,
  ) {}

  onModuleInit(): void {
    const connect = (_ctx: RequestContext, params: Readonly<Record<string, string>>, query: Readonly<Record<string, string>>, accept: () => Promise<WebSocket>): Promise<void> =>
      this.connect(params['id'] ?? '', query['secret'], accept);
    this.router.register('/1.0/operations/:id/websocket', connect, { allowUntrusted: true });
    this.members.register('/1.0/operations/:id/websocket', ({ params }) => this.operations.ownerOf(params['id'] ?? ''));
  }

  async list(ctx: RequestContext, query: Readonly<Record<string, string>>): Promise<OperationsByStatus> {
    const operations = (await this.operations.list(isAllProjects(query) ? null : ctx.project)).filter(({ project }) => mayAccessProject(ctx, project));
    const recursive = parseRecursion(query['recursion']) > 0;
    const byStatus: OperationsByStatus = {};
    for (const { operation } of operations) {
      (byStatus[operation.status.toLowerCase()] ??= []).push(recursive ? operation : `/1.0/operations/${operation.id}`);
    }
    return byStatus;
  }

  async get(ctx: RequestContext, id: string): Promise<Operation> {
    return (await this.find(ctx, id)).operation;
  }

  async cancel(ctx: RequestContext, id: string): Promise<ApiResponse> {
    await this.find(ctx, id);
    await this.operations.cancel(ctx, id);
    return emptyResponse();
  }

  /** A wrong secret is refused for everybody; without one the caller must be trusted. */
  async wait(ctx: RequestContext, id: string, timeout: string | undefined, secret: string | undefined): Promise<Operation> {
    const bySecret = secret !== undefined && secret !== '';
    if (!ctx.trusted && !bySecret) throw forbidden('not authorized');
    const seconds = parseTimeout(timeout);
    const known = bySecret ? await this.operations.get(id) : await this.find(ctx, id);
    if (bySecret && known.operation.metadata?.['secret'] !== secret) throw forbidden('not authorized');
    return (await this.operations.wait(ctx, known, seconds < 0 ? -1 : seconds * 1000)).operation;
  }

  /** Answers what LXD answers to a plain GET of the websocket. */
  async refusePlain(id: string, secret: string | undefined): Promise<never> {
    const plain = (): never => {
      throw invalid("websocket: the client is not using the websocket protocol: 'upgrade' token not found in 'Connection' header");
    };
    await this.connect(id, secret, async () => plain());
    return plain();
  }

  private connect(id: string, secret: string | undefined, accept: () => Promise<WebSocket>): Promise<void> {
    if (secret === undefined || secret === '') throw invalid('missing secret');
    return this.own.connect(id, secret, accept);
  }

  private async find(ctx: RequestContext, id: string): Promise<PeerOperation> {
    const found = await this.operations.get(id);
    // One that the caller may not see does not exist for it: metadata can hold secrets.
    if (!mayAccessProject(ctx, found.project)) throw notFound('Operation not found');
    return found;
  }
}

/** Seconds; 500 with Go's words for anything else, as LXD. */
function parseTimeout(text: string | undefined): number {
  if (text === undefined || text === '') return -1;
  if (!/^[+-]?\d+$/.test(text)) throw internal(`strconv.Atoi: parsing "${text}": invalid syntax`);
  return Number(text);
}
