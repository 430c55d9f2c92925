import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateDirectory } from '#kernel';
import { ClusterCertificates } from './cluster-certificates.js';
import { generateServerCertificate, ServerCertificates } from './server-certificates.js';

let state: StateDirectory;
let server: ServerCertificates;

beforeEach(async () => {
  state = new StateDirectory(await mkdtemp(`${tmpdir()}/roost-cluster-certificates-`));
  server = new ServerCertificates(state);
  await server.prepare();
});

afterEach(() => rm(state.root, { recursive: true, force: true }));

describe('ClusterCertificates', () => {
  it('shows the server certificate until there is one of a cluster, and again after it', async () => {
    const certificates = new ClusterCertificates(state, server);
    certificates.prepare();
    let changes = 0;
    certificates.onChange(() => changes++);
    expect(certificates.presented).toBe(server.current);

    const made = await certificates.create();

    expect(certificates.presented).toEqual(made);
    const again = new ClusterCertificates(state, server);
    again.prepare();
    expect(again.current).toEqual(made);

    await certificates.remove();

    expect(certificates.presented).toBe(server.current);
    expect(existsSync(state.clusterKey)).toBe(false);
    expect(changes).toBe(2);
  });

  it('refuses a key that belongs to another certificate, and keeps what it has', async () => {
    const certificates = new ClusterCertificates(state, server);
    const made = await certificates.create();
    const other = await generateServerCertificate('other');

    await expect(certificates.install(other.certificate, made.key)).rejects.toThrow('tls: private key does not match public key');

    expect(certificates.current).toEqual(made);
  });

  it('finishes an exchange that was killed between the two files', async () => {
    const certificates = new ClusterCertificates(state, server);
    await certificates.create();
    const next = await generateServerCertificate('next');
    await writeFile(state.clusterKey, next.key);
    await writeFile(`${state.clusterCertificate}.new`, next.certificate);

    const after = new ClusterCertificates(state, server);
    after.prepare();

    expect(after.current).toMatchObject({ certificate: next.certificate, key: next.key });
  });
});
