import { ArrivingRoot } from './arriving-root.js';
import { InstanceArrivals } from './instance-arrivals.service.js';
import { InstanceDepartures } from './instance-departures.service.js';
import { receiveInstance, receiveRefresh } from './receive-instance.operation.js';

/** What the module of instances takes up for copies and moves from and to other servers. */
export const migrationProviders = [ArrivingRoot, InstanceArrivals, InstanceDepartures];
export const migrationOperations = [receiveInstance, receiveRefresh] as const;
