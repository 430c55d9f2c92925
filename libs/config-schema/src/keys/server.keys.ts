import { invalid, isFalse, isTrue } from '#kernel';
import { isCompression } from '../checks/compression.checks.js';
import { isOneOf, key, KeyGroup, type KeySpec } from '../key.js';

function isServerBool(value: string): void {
  if (!isTrue(value) && !isFalse(value)) throw invalid('invalid boolean');
}

function isServerInteger(value: string): void {
  if (!/^[+-]?\d+$/.test(value) || !Number.isSafeInteger(Number(value))) throw invalid('invalid integer');
}

/** An integer with a further condition. */
function integerWhere(holds: (n: number) => boolean, refusal: string): (value: string) => void {
  return (value) => {
    isServerInteger(value);
    if (!holds(Number(value))) throw invalid(refusal);
  };
}

/** `1M 2H 3d 4w 5m 6y`: minutes, hours, days, weeks, months, years (and S, seconds), each unit once. */
function isExpiry(value: string): void {
  const units = value.trim().split(/\s+/).map((part) => /^\d+([SMHdwmy])$/.exec(part)?.[1]);
  if (units.includes(undefined) || new Set(units).size !== units.length) throw invalid('Invalid expiry expression');
}

function isIpv4(value: string): void {
  const parts = value.split('.');
  if (parts.length !== 4 || !parts.every((p) => /^\d{1,3}$/.test(p) && Number(p) <= 255)) throw invalid(`Not an IPv4 address "${value}"`);
}

const architectures = isOneOf(...'armv7l s390x riscv32 ppc64le mips mips64 i686 armv6l aarch64 ppc ppc64 x86_64 armv8l riscv64'.split(' '));

type Declared = Omit<KeySpec, 'type'>;
const bool = (spec: Declared): KeySpec => key.bool({ scope: 'global', liveUpdate: true, ...spec, check: isServerBool });
const integer = (spec: Declared): KeySpec => key.integer({ scope: 'global', liveUpdate: true, check: isServerInteger, ...spec });
const text = (spec: Declared): KeySpec => key.string({ scope: 'global', liveUpdate: true, ...spec });
const localText = (spec: Declared): KeySpec => text({ ...spec, scope: 'local' });

const core: Record<string, KeySpec> = {
  'core.bgp_address': localText({ short: 'Where the BGP server listens' }),
  'core.bgp_asn': text({ short: 'Autonomous system number of the BGP server', check: integerWhere((n) => n >= 0 && n <= 4294967294, "Value isn't within valid range. Must be between 0 and 4294967294") }),
  'core.bgp_routerid': localText({ short: 'Identifier of the BGP server, an IPv4 address', check: isIpv4 }),
  'core.debug_address': localText({ short: 'Where the profiling server listens' }),
  'core.dns_address': localText({ short: 'Where the authoritative DNS server listens' }),
  'core.https_address': localText({ short: 'Where the API listens for the network' }),
  'core.https_allowed_credentials': bool({ short: 'Whether browsers may send credentials from other origins' }),
  'core.https_allowed_headers': text({ short: 'Request headers that browsers may send from other origins' }),
  'core.https_allowed_methods': text({ short: 'Methods that browsers may use from other origins' }),
  'core.https_allowed_origin': text({ short: 'Origins that browsers may call from' }),
  'core.https_trusted_proxy': text({ short: 'Addresses of proxies that may name the client in a PROXY header' }),
  'core.metrics_address': localText({ short: 'Where metrics alone are served' }),
  'core.metrics_authentication': bool({ default: 'true', short: 'Whether metrics need a trusted client' }),
  'core.proxy_http': text({ short: 'Proxy for HTTP' }),
  'core.proxy_https': text({ short: 'Proxy for HTTPS' }),
  'core.proxy_ignore_hosts': text({ short: 'Hosts that are reached without the proxy' }),
  'core.remote_token_expiry': text({ short: 'How long a token for adding this server as a remote is valid', check: isExpiry }),
  'core.shutdown_timeout': integer({ default: '5', short: 'Minutes to wait for running operations at shutdown' }),
  'core.trust_ca_certificates': bool({ short: 'Whether clients signed by the CA are trusted at once' }),
  'core.trust_password': text({ short: 'Password with which clients add themselves' }),
};

const external: Record<string, KeySpec> = {
  'candid.api.key': text({ short: 'No effect: Candid is not supported' }),
  'candid.api.url': text({ short: 'No effect: Candid is not supported' }),
  'candid.domains': text({ short: 'No effect: Candid is not supported' }),
  'candid.expiry': integer({ default: '3600', short: 'No effect: Candid is not supported' }),
  'rbac.agent.private_key': text({ short: 'No effect: RBAC servers are not supported' }),
  'rbac.agent.public_key': text({ short: 'No effect: RBAC servers are not supported' }),
  'rbac.agent.url': text({ short: 'No effect: RBAC servers are not supported' }),
  'rbac.agent.username': text({ short: 'No effect: RBAC servers are not supported' }),
  'rbac.api.key': text({ short: 'No effect: RBAC servers are not supported' }),
  'rbac.api.url': text({ short: 'No effect: RBAC servers are not supported' }),
  'rbac.api.expiry': integer({ short: 'No effect: RBAC servers are not supported' }),
  'maas.api.key': text({ short: 'No effect: MAAS is not supported' }),
  'maas.api.url': text({ short: 'No effect: MAAS is not supported' }),
  'maas.machine': localText({ short: 'No effect: MAAS is not supported' }),
};

const cluster: Record<string, KeySpec> = {
  'cluster.https_address': localText({ short: 'Address of this member inside the cluster', liveUpdate: false }),
  'cluster.images_minimal_replica': integer({
    default: '3',
    short: 'How many members hold a copy of each image, -1 for all',
    check: integerWhere((n) => n === -1 || n >= 1, 'Invalid value for image replica count'),
  }),
  'cluster.join_token_expiry': text({ default: '3H', short: 'How long a token for joining the cluster is valid', check: isExpiry }),
  'cluster.max_standby': integer({
    default: '2',
    short: 'How many members stand by for the database',
    check: integerWhere((n) => n >= 0 && n <= 5, 'Value must be between 0 and 5'),
  }),
  'cluster.max_voters': integer({
    default: '3',
    short: 'How many members vote in the database',
    check: integerWhere((n) => n >= 3 && n % 2 === 1, 'Value must be an odd number equal to or higher than 3'),
  }),
  'cluster.offline_threshold': integer({
    default: '20',
    short: 'Seconds without an answer after which a member counts as offline',
    check: integerWhere((n) => n > 10, "Value must be greater than '10'"),
  }),
};

const rest: Record<string, KeySpec> = {
  'backups.compression_algorithm': text({ default: 'gzip', short: 'How backups are compressed', check: isCompression }),
  'images.auto_update_cached': bool({ default: 'true', short: 'Whether cached images are kept up to date' }),
  'images.auto_update_interval': integer({ default: '6', short: 'Hours between looking for newer images, 0 for never' }),
  'images.compression_algorithm': text({ default: 'gzip', short: 'How new images are compressed', check: isCompression }),
  'images.default_architecture': text({ short: 'Architecture to prefer in a mixed cluster', check: architectures }),
  'images.remote_cache_expiry': integer({ default: '10', short: 'Days after which an unused cached image is removed' }),
  'network.ovn.integration_bridge': text({ default: 'br-int', short: 'Bridge that OVN networks use' }),
  'network.ovn.northbound_connection': text({ default: 'unix:/var/run/ovn/ovnnb_db.sock', short: 'Where the OVN northbound database is' }),
  'storage.backups_volume': localText({ short: 'Volume that holds backups, POOL/VOLUME' }),
  'storage.images_volume': localText({ short: 'Volume that holds image files, POOL/VOLUME' }),
};

/** Keys of `GET /1.0`: those of LXD 5.0.2, with its defaults and refusals. */
export const serverKeys = new KeyGroup(
  'server',
  { ...core, ...external, ...cluster, ...rest },
  { 'user.': text({ short: 'Anything the administrator wants to note' }) },
);

/** Keys that hold a listen address, with the port each stands for when none is given. Stored as given. */
export const serverAddressKeys: Readonly<Record<string, number>> = {
  'core.bgp_address': 179,
  'core.debug_address': 8444,
  'core.dns_address': 53,
  'core.https_address': 8443,
  'core.metrics_address': 8444,
  'cluster.https_address': 8443,
};
