import { InstanceFacts } from './instance-facts.js';
import { InstancePeers } from './instance-peers.js';
import { InstanceStates } from './instance-states.js';
import { InstancePlacement } from './instance-placement.service.js';
import { LocalReports } from './local-reports.js';
import { RemoteInstances } from './remote-instances.js';

/** What makes one member's instances part of a cluster's. */
export const memberProviders = [LocalReports, RemoteInstances, InstanceFacts, InstanceStates, InstancePeers, InstancePlacement];
