import type { Identity } from './identity.js';

/** `public`: go on, seeing only what the untrusted may see. */
export type Admission = 'allow' | 'deny' | 'public';

/** What a request is about, as far as admission goes. */
export interface AccessQuestion {
  readonly method: string;
  /** The route's pattern or the plain path; only its leading segments matter. */
  readonly path: string;
  readonly project: string;
  readonly allProjects: boolean;
  /** For `/1.0/projects/:name`: that name. */
  readonly objectName?: string;
}

const projectScoped = new Set([
  'instances',
  'containers',
  'virtual-machines',
  'images',
  'profiles',
  'networks',
  'network-acls',
  'network-zones',
  'metrics',
  'events',
]);

/**
 * What a restricted certificate may do, as LXD 5.0.2 answers (asked): everything inside its projects; read the server, its pools,
 * its own certificate and cluster; nothing else. Stricter than LXD in two points, because an operation's metadata can hold
 * secrets: the list of operations and `all-projects` need a project of its own.
 */
export function admit(identity: Identity, question: AccessQuestion): Admission {
  if (identity.certificateType === 'metrics') return isMetrics(question) ? 'allow' : 'deny';
  const allowed = identity.allowedProjects;
  if (allowed === null) return 'allow';
  const [, version = '', noun = '', second = '', third = ''] = question.path.split('/');
  const isRead = question.method === 'GET' || question.method === 'HEAD';
  if (version === '' || (version === '1.0' && noun === '')) return isRead ? 'allow' : 'deny';
  if (version !== '1.0') return 'deny';
  const inProject = allowed.includes(question.project) && !question.allProjects;
  if (projectScoped.has(noun)) return inProject ? 'allow' : noun === 'images' && isRead ? 'public' : 'deny';
  switch (noun) {
    case 'operations':
      return second !== '' || inProject ? 'allow' : 'deny';
    case 'certificates':
      return question.method === 'DELETE' ? 'deny' : 'allow';
    case 'storage-pools':
      return third === 'volumes' || third === 'buckets' ? (inProject ? 'allow' : 'deny') : isRead ? 'allow' : 'deny';
    case 'projects':
      return isRead && (second === '' || allowed.includes(question.objectName ?? '')) ? 'allow' : 'deny';
    case 'resources':
    case 'cluster':
      return isRead ? 'allow' : 'deny';
    default:
      return 'deny';
  }
}

function isMetrics(question: AccessQuestion): boolean {
  return question.method === 'GET' && question.path === '/1.0/metrics';
}
