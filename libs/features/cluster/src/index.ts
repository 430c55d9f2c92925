export { ClusterModule } from './cluster.module.js';
export { choosePlacement, runsArchitecture, type Placement, type PlacementCandidate, type PlacementLoss, type PlacementRequest } from './rules/placement.rules.js';
export { ClusterMembers, type MemberCandidate } from './cluster-members.service.js';
export { EvacuationRegistry, type EvacuationRun, type Evacuator } from './evacuation.registry.js';
export type { RejoinReport } from './join/rejoining.service.js';
export { JoinParticipants, type JoinParticipant } from './join/join-participants.js';
export { LocalMembership } from './local-membership.service.js';
export { ClusterMembersReconciler } from './reconcile/cluster-members.reconciler.js';
