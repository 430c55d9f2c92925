export { requestedExpiry, snapshotExpiry, zeroTime } from '#config-schema';
