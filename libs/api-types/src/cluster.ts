import { z } from 'zod';

/** A configuration key that differs from member to member, as a joining one is asked for it. */
export interface ClusterMemberConfigKey {
  /** `storage-pool` or `network`. */
  readonly entity: string;
  readonly name: string;
  readonly key: string;
  readonly value: string;
  readonly description: string;
}

/** `GET /1.0/cluster`. */
export interface Cluster {
  /** Of this member; empty when it stands alone. */
  readonly server_name: string;
  readonly enabled: boolean;
  readonly member_config: readonly ClusterMemberConfigKey[];
}

const memberConfigKey = z.object({
  entity: z.string().default(''), name: z.string().default(''), key: z.string().default(''), value: z.string().default(''), description: z.string().default(''),
}).meta({ id: 'ClusterMemberConfigKey' });

/** Body of `PUT /1.0/cluster`: begin a cluster, join one, or stand alone again. */
export const clusterPut = z.object({
  server_name: z.string().default(''),
  enabled: z.boolean().default(false),
  member_config: z.array(memberConfigKey).default([]),
  cluster_address: z.string().default(''),
  cluster_certificate: z.string().default(''),
  server_address: z.string().default(''),
  /** The trust password, or a token. */
  cluster_password: z.string().default(''),
  cluster_token: z.string().default(''),
}).meta({ id: 'ClusterPut' });
export type ClusterPut = z.infer<typeof clusterPut>;

/** A member as `/1.0/cluster/members/{name}` shows it. */
export interface ClusterMember {
  readonly roles: readonly string[];
  /** Example: default */
  readonly failure_domain: string;
  readonly description: string;
  readonly config: Readonly<Record<string, string>>;
  readonly groups: readonly string[];
  readonly server_name: string;
  /** Example: https://10.0.0.1:8443 */
  readonly url: string;
  /** Whether it votes in the database. */
  readonly database: boolean;
  /** Online, Offline, Evacuated or Blocked. */
  readonly status: string;
  /** Example: Fully operational */
  readonly message: string;
  /** Example: x86_64 */
  readonly architecture: string;
}

/** Body of `PUT` and `PATCH /1.0/cluster/members/{name}`. */
export const clusterMemberPut = z.object({
  roles: z.array(z.string()).default([]),
  failure_domain: z.string().default(''),
  description: z.string().default(''),
  config: z.record(z.string(), z.string()).default({}),
  groups: z.array(z.string()).default([]),
}).meta({ id: 'ClusterMemberPut' });
export type ClusterMemberPut = z.infer<typeof clusterMemberPut>;

/** Body of `POST /1.0/cluster/members`: who may join with the token that is answered. Also of a rename. */
export const clusterMembersPost = z.object({ server_name: z.string().default('') }).meta({ id: 'ClusterMembersPost' });
export const clusterMemberPost = z.object({ server_name: z.string().default('') }).meta({ id: 'ClusterMemberPost' });
export type ClusterMemberPost = z.infer<typeof clusterMemberPost>;

/** Body of `POST /1.0/cluster/members/{name}/state`. */
export const clusterMemberStatePost = z.object({ action: z.string().default(''), mode: z.string().default('') }).meta({ id: 'ClusterMemberStatePost' });
export type ClusterMemberStatePost = z.infer<typeof clusterMemberStatePost>;

/** Body of `PUT /1.0/cluster/certificate`. */
export const clusterCertificatePut = z.object({ cluster_certificate: z.string().default(''), cluster_certificate_key: z.string().default('') }).meta({ id: 'ClusterCertificatePut' });
export type ClusterCertificatePut = z.infer<typeof clusterCertificatePut>;

/** `GET /1.0/cluster/groups/{name}`. */
export interface ClusterGroup {
  readonly description: string;
  readonly members: readonly string[];
  readonly name: string;
}

/** Body of `POST /1.0/cluster/groups`. */
export const clusterGroupsPost = z.object({
  name: z.string().default(''), description: z.string().default(''), members: z.array(z.string()).default([]),
}).meta({ id: 'ClusterGroupsPost' });
export type ClusterGroupsPost = z.infer<typeof clusterGroupsPost>;

/** Body of `PUT` and `PATCH /1.0/cluster/groups/{name}`. */
export const clusterGroupPut = z.object({ description: z.string().optional(), members: z.array(z.string()).optional() }).meta({ id: 'ClusterGroupPut' });
export type ClusterGroupPut = z.infer<typeof clusterGroupPut>;

/** Body of `POST /1.0/cluster/groups/{name}`: the new name. */
export const clusterGroupPost = z.object({ name: z.string().default('') }).meta({ id: 'ClusterGroupPost' });

/** What a token says, as base64 of JSON. */
export const clusterJoinToken = z.object({
  server_name: z.string(),
  /** SHA-256 of the cluster's certificate, hex. */
  fingerprint: z.string(),
  addresses: z.array(z.string()),
  secret: z.string(),
  expires_at: z.string().optional(),
});
export type ClusterJoinToken = z.infer<typeof clusterJoinToken>;

export function encodeJoinToken(token: ClusterJoinToken): string {
  return Buffer.from(JSON.stringify(token)).toString('base64');
}

/** Null when the text is no such token. */
export function decodeJoinToken(text: string): ClusterJoinToken | null {
  try {
    const result = clusterJoinToken.safeParse(JSON.parse(Buffer.from(text, 'base64').toString('utf8')));
    return result.success && result.data.secret !== '' ? result.data : null;
  } catch {
    return null;
  }
}
