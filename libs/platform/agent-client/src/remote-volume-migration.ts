import { Injectable } from '@nestjs/common';
import { VolumeMigration, type MigrationFormat, type MigrationPiece, type PieceEndpoint, type ReceivePiecesRequest, type SendPiecesRequest, type VolumeSpec } from '#ports';
import { AgentChannel } from '#platform/rpc';

/** Volumes piece by piece, by the local agent; their bytes go through the pipes it names. */
@Injectable()
export class RemoteVolumeMigration extends VolumeMigration {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async migrationFormats(volume: VolumeSpec): Promise<MigrationFormat[]> { return (await this.call<{ formats: MigrationFormat[] }>('migrationFormats', { volume })).formats; }
  override async sendPieces(request: SendPiecesRequest): Promise<string> { return (await this.call<{ sessionId: string }>('sendPieces', request)).sessionId; }
  override async receivePieces(request: ReceivePiecesRequest): Promise<string> { return (await this.call<{ sessionId: string }>('receivePieces', request)).sessionId; }
  override async waitPieces(sessionId: string, signal: AbortSignal): Promise<void> { await this.agent.call('Storage', 'waitPieces', { sessionId }, { signal }); }
  override async openPiece(sessionId: string, piece: MigrationPiece): Promise<PieceEndpoint> { return this.call('openPiece', { sessionId, piece }); }
  override async waitPiece(sessionId: string): Promise<void> { await this.call('waitPiece', { sessionId }); }
  override async endPieces(sessionId: string): Promise<void> { await this.call('endPieces', { sessionId }); }

  private call<T>(method: string, request: object): Promise<T> { return this.agent.call('Storage', method, request); }
}
