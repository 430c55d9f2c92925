import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { WebSocket } from 'ws';
import type { Operation } from '#api-types';
import { forbidden, internal, invalid, notFound, type RequestContext } from '#kernel';
import { mayAccessProject } from '#platform/auth';
import { emptyResponse, isAllProjects, parseRecursion, WebSocketRouter, type ApiResponse } from '#platform/http';
import { OperationsService, type LiveOperation } from '#platform/operations';

/** `{ running: [...], success: [...] }`: URLs, or operations with recursion. */
export type OperationsByStatus = Record<string, (string | Operation)[]>;

/** What `/1.0/operations` shows of the operations on this member. */
@Injectable()
export class OperationViews implements OnModuleInit {
  constructor(
    private readonly operations: OperationsService,
    private readonly router: WebSocketRouter,
  ) {}

  onModuleInit(): void {
    const connect = (_ctx: RequestContext, params: Readonly<Record<string, string>>, query: Readonly<Record<string, string>>, accept: () => Promise<WebSocket>): Promise<void> =>
      this.connect(params['id'] ?? '', query['secret'], accept);
    this.router.register('/1.0/operations/:id/websocket', connect, { allowUntrusted: true });
  }

  list(ctx: RequestContext, query: Readonly<Record<string, string>>): OperationsByStatus {
    const operations = this.operations.list(isAllProjects(query) ? null : ctx.project).filter((operation) => mayAccessProject(ctx, operation.init.project));
    const recursive = parseRecursion(query['recursion']) > 0;
    const byStatus: OperationsByStatus = {};
    for (const operation of operations) {
      (byStatus[operation.status.toLowerCase()] ??= []).push(recursive ? operation.api() : `/1.0/operations/${operation.id}`);
    }
    return byStatus;
  }

  get(ctx: RequestContext, id: string): Operation {
    return this.find(ctx, id).api();
  }

  async cancel(ctx: RequestContext, id: string): Promise<ApiResponse> {
    await this.operations.cancel(ctx, this.find(ctx, id).id);
    return emptyResponse();
  }

  /** A wrong secret is refused for everybody; without one the caller must be trusted. */
  async wait(ctx: RequestContext, id: string, timeout: string | undefined, secret: string | undefined): Promise<Operation> {
    const bySecret = secret !== undefined && secret !== '';
    if (!ctx.trusted && !bySecret) throw forbidden('not authorized');
    const seconds = parseTimeout(timeout);
    const operation = bySecret ? this.operations.get(id) : this.find(ctx, id);
    if (bySecret && operation.metadata['secret'] !== secret) throw forbidden('not authorized');
    return operation.wait(seconds < 0 ? -1 : seconds * 1000, ctx.signal);
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
    return this.operations.connect(id, secret, accept);
  }

  private find(ctx: RequestContext, id: string): LiveOperation {
    const operation = this.operations.get(id);
    // One that the caller may not see does not exist for it: metadata can hold secrets.
    if (!mayAccessProject(ctx, operation.init.project)) throw notFound('Operation not found');
    return operation;
  }
}

/** Seconds; 500 with Go's words for anything else, as LXD. */
function parseTimeout(text: string | undefined): number {
  if (text === undefined || text === '') return -1;
  if (!/^[+-]?\d+$/.test(text)) throw internal(`strconv.Atoi: parsing "${text}": invalid syntax`);
  return Number(text);
}
