import { Injectable, Optional } from '@nestjs/common';
import { z } from 'zod';
import { internalContext, LocalMember } from '#kernel';
import type { Operation } from '#api-types';
import { LocalPeers, Peers, type PeerCaller } from '#ports';
import type { LiveOperation } from '../live-operation.js';
import { OperationsService } from '../operations.service.js';

/** An operation as one member shows it to another. */
export interface PeerOperation {
  readonly project: string;
  readonly operation: Operation;
}

const byId = z.object({ id: z.string() });
const byProject = z.object({ project: z.string().nullable() });
const waiting = z.object({ id: z.string(), timeoutMs: z.number() });

export function toPeerOperation(operation: LiveOperation): PeerOperation {
  return { project: operation.init.project, operation: operation.api() };
}

/** Answers other members about the operations of this one. Who may see what is decided by the member that was asked by a client. */
@Injectable()
export class OperationPeers {
  constructor(
    private readonly operations: OperationsService,
    @Optional() peers: Peers = new LocalPeers(new LocalMember()),
  ) {
    peers.handle('operations.list', async (request) => ({ operations: operations.list(byProject.parse(request).project).map(toPeerOperation) }));
    peers.handle('operations.get', async (request) => toPeerOperation(operations.get(byId.parse(request).id)));
    peers.handle('operations.wait', (request, caller) => this.wait(waiting.parse(request), caller));
    peers.handle('operations.cancel', (request, caller) => this.cancel(byId.parse(request).id, caller));
  }

  private async wait({ id, timeoutMs }: z.infer<typeof waiting>, { signal }: PeerCaller): Promise<PeerOperation> {
    const operation = this.operations.get(id);
    await operation.wait(timeoutMs, signal);
    return toPeerOperation(operation);
  }

  private async cancel(id: string, { requestor, signal }: PeerCaller): Promise<void> {
    const { project } = this.operations.get(id).init;
    await this.operations.cancel({ ...internalContext(signal, project), requestor }, id);
  }
}
