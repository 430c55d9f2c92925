import { Injectable } from '@nestjs/common';
import { invalid, LocalMember } from '#kernel';
import { apiUrl } from '#platform/http';
import type { Sql } from '#platform/database';
import { VolumesRepository, type VolumeKey } from './data/volumes.repository.js';

/** Answers who uses a pool, as URLs. */
@Injectable()
export class PoolUsers {
  constructor(private readonly volumes: VolumesRepository, private readonly member: LocalMember) {}

  /** Everything in or on the pool, sorted, each once; only what lies on one member where its name is given. */
  usersOfPool(sql: Sql, pool: string, member = ''): string[] {
    const volumes = this.volumes.keysByPool(sql, pool).filter(({ location }) => member === '' || location === member).map((volume) => (volume.type === 'custom' ? this.volumeUrl(volume) : ownerUrl(volume)));
    const profiles = this.volumes.profilesOnPool(sql, pool).map(({ project, name }) => apiUrl(['1.0', 'profiles', name], project));
    return [...new Set([...volumes, ...profiles])].sort();
  }

  /** URLs of a project's custom volumes, in all pools, without their snapshots. */
  customVolumesOf(sql: Sql, project: string): string[] {
    return this.volumes.customKeysOf(sql, project).map((volume) => this.volumeUrl(volume));
  }

  /** What keeps the pool from being deleted: all but images, which are only copies. */
  blockersOfPool(sql: Sql, pool: string): string[] {
    const images = new Set(this.volumes.keysByPool(sql, pool).filter(({ type }) => type === 'image').map(ownerUrl));
    return this.usersOfPool(sql, pool).filter((url) => !images.has(url));
  }

  refuseUsed(sql: Sql, pool: string): void {
    if (this.blockersOfPool(sql, pool).length > 0) throw invalid('The storage pool is currently in use');
  }

  /** In a cluster members may have volumes of one name, so that its URL says which is meant. */
  volumeUrl({ pool, project, type, name, location }: VolumeKey & { readonly location: string }): string {
    const url = apiUrl(['1.0', 'storage-pools', pool, 'volumes', type, ...namePath(name)], project);
    return this.member.clustered ? `${url}${url.includes('?') ? '&' : '?'}target=${encodeURIComponent(location)}` : url;
  }
}

/** The instance or image a volume belongs to. */
export function ownerUrl({ type, project, name }: VolumeKey): string {
  return type === 'image' ? apiUrl(['1.0', 'images', name], project) : apiUrl(['1.0', 'instances', ...namePath(name)], project);
}

/** A snapshot is `volume/snapshot` where it is listed, and lies below its volume in URLs. */
function namePath(name: string): string[] {
  const [volume = '', snapshot] = name.split('/');
  return snapshot === undefined ? [volume] : [volume, 'snapshots', snapshot];
}
