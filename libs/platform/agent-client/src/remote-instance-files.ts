import { Injectable } from '@nestjs/common';
import { InstanceFiles, type FilesEndpoint, type FilesRequest } from '#ports';
import { AgentChannel } from '#platform/rpc';

/** Files inside instances, served by processes of the local agent; their bytes go through the endpoints it names. */
@Injectable()
export class RemoteInstanceFiles extends InstanceFiles {
  constructor(private readonly agent: AgentChannel) { super(); }

  override async openFiles(request: FilesRequest): Promise<FilesEndpoint> { return this.agent.call('Instance', 'openFiles', request); }
}
