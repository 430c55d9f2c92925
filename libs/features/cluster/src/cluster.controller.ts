import { Controller } from '@nestjs/common';
import { internal, invalid, notImplemented } from '#kernel';
import { Get, Put, syncResponse, type ApiResponse } from '#platform/http';
import { ClusterService } from './cluster.service.js';

/** `/1.0/cluster` of a member that stands alone; statuses and words are LXD's for that case. */
@Controller('1.0/cluster')
export class ClusterController {
  constructor(private readonly cluster: ClusterService) {}

  @Get()
  state(): ApiResponse {
    return syncResponse({ server_name: '', enabled: false, member_config: this.cluster.memberConfig() });
  }

  @Put()
  enable(): never {
    throw notImplemented('This version of Roost does not do clustering yet');
  }

  @Get('members')
  members(): never {
    throw internal('Server is not clustered');
  }

  @Get('groups')
  groups(): never {
    throw invalid('This server is not clustered');
  }
}
