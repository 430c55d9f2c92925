import { Module } from '@nestjs/common';
import { ClusterController } from './cluster.controller.js';
import { ClusterMembers } from './cluster-members.service.js';
import { ClusterService } from './cluster.service.js';
import { GroupsRepository } from './data/groups.repository.js';
import { MembersRepository } from './data/members.repository.js';
import { EvacuationRegistry } from './evacuation.registry.js';
import { JoinParticipants } from './join/join-participants.js';

@Module({
  controllers: [ClusterController],
  providers: [ClusterService, ClusterMembers, MembersRepository, GroupsRepository, EvacuationRegistry, JoinParticipants],
  exports: [ClusterMembers, EvacuationRegistry, JoinParticipants],
})
export class ClusterModule {}
