import { Module } from '@nestjs/common';
import { WarningsModule } from '#features/warnings';
import { ClusterController } from './cluster.controller.js';
import { ClusterGroupsController } from './api/cluster-groups.controller.js';
import { ClusterMembersController } from './api/cluster-members.controller.js';
import { InternalClusterController } from './api/internal-cluster.controller.js';
import { InternalWitnessController } from './api/internal-witness.controller.js';
import { ClusterCertificateUpdate } from './cluster-certificate.service.js';
import { ClusterEnabling } from './cluster-enabling.service.js';
import { ClusterEvacuation } from './cluster-evacuation.service.js';
import { ClusterGroups } from './cluster-groups.service.js';
import { ClusterMembers } from './cluster-members.service.js';
import { ClusterService } from './cluster.service.js';
import { GroupsRepository } from './data/groups.repository.js';
import { MembersRepository } from './data/members.repository.js';
import { EvacuationRegistry } from './evacuation.registry.js';
import { Admissions } from './join/admissions.service.js';
import { JoinParticipants } from './join/join-participants.js';
import { JoinTokens } from './join/join-tokens.service.js';
import { Joining } from './join/joining.service.js';
import { Rejoining } from './join/rejoining.service.js';
import { LocalMembership } from './local-membership.service.js';
import { MemberChanges } from './member-changes.service.js';
import { MemberRemoval } from './member-removal.service.js';
import { DatabaseCopies } from './copies/database-copies.service.js';
import { ClusterMembersReconciler } from './reconcile/cluster-members.reconciler.js';
import { DatabaseCopiesReconciler } from './reconcile/database-copies.reconciler.js';
import { Witnesses } from './witness/witnesses.service.js';
import { WitnessesRepository } from './witness/witnesses.repository.js';

@Module({
  imports: [WarningsModule],
  controllers: [ClusterController, ClusterMembersController, ClusterGroupsController, InternalClusterController, InternalWitnessController],
  providers: [
    ClusterService, ClusterMembers, MembersRepository, GroupsRepository, MemberChanges, MemberRemoval, ClusterGroups, ClusterCertificateUpdate, ClusterEnabling,
    ClusterEvacuation, EvacuationRegistry, JoinTokens, Admissions, Joining, Rejoining, JoinParticipants, LocalMembership, DatabaseCopies, Witnesses, WitnessesRepository,
    ClusterMembersReconciler, DatabaseCopiesReconciler,
  ],
  exports: [ClusterMembers, EvacuationRegistry, JoinParticipants, LocalMembership, ClusterMembersReconciler, DatabaseCopiesReconciler],
})
export class ClusterModule {}
