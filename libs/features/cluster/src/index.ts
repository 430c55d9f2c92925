export { ClusterModule } from './cluster.module.js';
export { choosePlacement, runsArchitecture, type Placement, type PlacementCandidate, type PlacementLoss, type PlacementRequest } from './rules/placement.rules.js';
