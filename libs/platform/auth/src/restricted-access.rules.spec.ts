import { describe, expect, it } from 'vitest';
import type { Identity } from './identity.js';
import { admit } from './restricted-access.rules.js';

const restricted: Identity = { username: 'f', protocol: 'tls', address: '', trusted: true, certificateType: 'client', allowedProjects: ['pr1'] };

function ask(method: string, path: string, project = 'pr1', more: { allProjects?: boolean; objectName?: string } = {}): string {
  return admit(restricted, { method, path, project, allProjects: more.allProjects ?? false, objectName: more.objectName });
}

describe('admit', () => {
  it('lets a restricted client do anything inside its projects', () => {
    expect(ask('POST', '/1.0/instances')).toBe('allow');
    expect(ask('DELETE', '/1.0/profiles/:name')).toBe('allow');
    expect(ask('POST', '/1.0/storage-pools/:pool/volumes/custom')).toBe('allow');
  });

  it('refuses other projects, the server and whatever spans projects', () => {
    expect(ask('GET', '/1.0/instances', 'default')).toBe('deny');
    expect(ask('GET', '/1.0/instances', 'pr1', { allProjects: true })).toBe('deny');
    expect(ask('PUT', '/1.0')).toBe('deny');
    expect(ask('POST', '/1.0/projects')).toBe('deny');
    expect(ask('POST', '/1.0/storage-pools')).toBe('deny');
    expect(ask('GET', '/1.0/operations', 'default')).toBe('deny');
    expect(ask('GET', '/1.0/warnings')).toBe('deny');
    expect(ask('GET', '/internal/ready')).toBe('deny');
  });

  it('shows public images of other projects and its own projects by name', () => {
    expect(ask('GET', '/1.0/images', 'default')).toBe('public');
    expect(ask('GET', '/1.0/projects/:name', 'default', { objectName: 'pr1' })).toBe('allow');
    expect(ask('GET', '/1.0/projects/:name', 'default', { objectName: 'default' })).toBe('deny');
  });

  it('confines a metrics certificate to metrics', () => {
    const metrics: Identity = { ...restricted, certificateType: 'metrics', allowedProjects: null };

    expect(admit(metrics, { method: 'GET', path: '/1.0/metrics', project: 'default', allProjects: false })).toBe('allow');
    expect(admit(metrics, { method: 'GET', path: '/1.0', project: 'default', allProjects: false })).toBe('deny');
  });
});
