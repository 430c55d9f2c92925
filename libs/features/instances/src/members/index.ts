import { BulkStateChanges } from './bulk-state-changes.js';
import { InstanceFacts } from './instance-facts.js';
import { InstancePeers } from './instance-peers.js';
import { InstanceRoutes } from './instance-routes.js';
import { InstanceStates } from './instance-states.js';
import { InstanceDepartures } from './instance-departures.js';
import { InstanceEvacuation } from './instance-evacuation.js';
import { InstancePlacement } from './instance-placement.service.js';
import { LocalReports } from './local-reports.js';
import { MemberMaintenance } from './member-maintenance.js';
import { StartPermits } from './start-permits.js';
import { RemoteInstances } from './remote-instances.js';

/** What makes one member's instances part of a cluster's. */
export const memberProviders = [LocalReports, RemoteInstances, InstanceFacts, InstanceStates, InstancePeers, InstancePlacement, MemberMaintenance, StartPermits, BulkStateChanges, InstanceDepartures, InstanceEvacuation, InstanceRoutes];
