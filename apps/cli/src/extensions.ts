import { invalid } from '#kernel';

type Rule = readonly [RegExp, string, ((method: string, body: any) => boolean)?];

const isRestore = (method: string, body: any): boolean => method === 'PUT' && (body?.restore ?? '') !== '';
const isCopy = (method: string, body: any): boolean => method === 'POST' && body?.source?.type === 'copy';

/** Which part of the API needs which extension. The first rule that fits decides. */
const rules: readonly Rule[] = [
  [/^\/1\.0\/instances\/[^/]+\/backups/, 'container_backup'],
  [/^\/1\.0\/instances\/[^/]+\/metadata/, 'container_edit_metadata'],
  [/^\/1\.0\/network-acls\/[^/]+\/log/, 'network_acl_log'],
  [/^\/1\.0\/network-acls/, 'network_acl'],
  [/^\/1\.0\/network-zones\/[^/]+\/records/, 'network_dns_records'],
  [/^\/1\.0\/network-zones/, 'network_dns'],
  [/^\/1\.0\/networks\/[^/]+\/peers/, 'network_peer'],
  [/^\/1\.0\/networks\/[^/]+\/forwards/, 'network_forward'],
  [/^\/1\.0\/networks\/[^/]+\/leases/, 'network_leases'],
  [/^\/1\.0\/networks\/[^/]+\/state/, 'network_state'],
  [/^\/1\.0\/storage-pools\/[^/]+\/resources/, 'resources'],
  [/^\/1\.0\/storage-pools\/[^/]+\/volumes\/[^/]+\/[^/]+\/backups/, 'custom_volume_backup'],
  [/^\/1\.0\/storage-pools\/[^/]+\/volumes\/[^/]+\/[^/]+\/snapshots/, 'storage_api_volume_snapshots'],
  [/^\/1\.0\/storage-pools\/[^/]+\/volumes\/[^/]+\/[^/]+\/state/, 'storage_volume_state'],
  [/^\/1\.0\/storage-pools\/[^/]+\/volumes\/[^/]+\/[^/]+$/, 'storage_api_volume_snapshots', isRestore],
  [/^\/1\.0\/storage-pools\/[^/]+\/volumes\/[^/]+$/, 'storage_api_local_volume_handling', isCopy],
  [/^\/1\.0\/warnings/, 'warnings'],
  [/^\/1\.0\/cluster\/groups/, 'clustering_groups'],
  [/^\/1\.0\/cluster\/members\/[^/]+\/state/, 'clustering_evacuation'],
  [/^\/1\.0\/cluster/, 'clustering'],
  [/^\/1\.0\/projects/, 'projects'],
  [/^\/1\.0\/resources/, 'resources'],
];

/** Throws when a request is about something that a server with these extensions does not have. */
export function requireExtension(extensions: readonly string[], method: string, path: string, body: unknown): void {
  const plain = path.split('?')[0]!;
  const rule = rules.find(([pattern, , when]) => pattern.test(plain) && (when === undefined || when(method, body)));
  if (rule !== undefined && !extensions.includes(rule[1])) throw invalid(`The server is missing the required "${rule[1]}" API extension`);
}
