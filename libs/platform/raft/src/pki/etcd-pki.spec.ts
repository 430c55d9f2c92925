import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createAuthority, issueLeaf } from './certificate-authority.js';
import { EtcdPki } from './etcd-pki.js';

describe('the certificates of etcd', () => {
  let root: string;
  let pki: EtcdPki;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'roost-pki-'));
    pki = new EtcdPki(join(root, 'etcd-pki'));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const certificateOf = (path: string) => new X509Certificate(readFileSync(path));

  it('give a voter a leaf for serving and connecting, with its addresses and its name', async () => {
    await pki.create('abc');
    const files = await pki.voterFiles('m1', ['127.31.0.1', 'fd00::1', 'one.example']);

    const leaf = certificateOf(files.certificate);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect(['127.31.0.1', 'fd00::1'].map((ip) => leaf.checkIP(ip))).toEqual(['127.31.0.1', 'fd00::1']);
    expect(['one.example', 'm1'].map((host) => leaf.checkHost(host))).toEqual(['one.example', 'm1']);
    expect(leaf.checkIP('127.31.0.2')).toBeUndefined();
    expect(leaf.verify(certificateOf(files.ca).publicKey)).toBe(true);
    expect(leaf.ca).toBe(false);
  });

  it('give a client a leaf that cannot serve', async () => {
    await pki.create('abc');
    const credentials = await pki.clientCredentials('m1');

    expect(new X509Certificate(credentials.certificate).keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(new X509Certificate(credentials.certificate).checkIssued(new X509Certificate(credentials.ca))).toBe(true);
  });

  it('are valid on a member whose clock is behind', async () => {
    const authority = await createAuthority('etcd');
    const leaf = await issueLeaf(authority, { name: 'm1', hosts: ['127.31.0.1'], serves: true });

    for (const { certificate } of [authority, leaf]) expect(Date.now() - new X509Certificate(certificate).validFromDate.getTime()).toBeGreaterThan(3600_000);
  });

  it('keep keys to their owner', async () => {
    await pki.create('abc');
    const { key } = await pki.voterFiles('m1', ['127.31.0.1']);

    expect(statSync(join(pki.directory, 'ca.key')).mode & 0o777).toBe(0o600);
    expect(statSync(key).mode & 0o777).toBe(0o600);
    expect(statSync(pki.directory).mode & 0o777).toBe(0o700);
  });

  it('stay as they are until addresses or the authority change', async () => {
    await pki.create('abc');
    const first = certificateOf((await pki.voterFiles('m1', ['127.31.0.1'])).certificate).fingerprint256;
    const again = certificateOf((await pki.voterFiles('m1', ['127.31.0.1'])).certificate).fingerprint256;
    const moved = certificateOf((await pki.voterFiles('m1', ['127.31.0.9'])).certificate);
    const client = await pki.clientCredentials('m1');
    await pki.create('def');
    const renewed = await pki.clientCredentials('m1');

    expect(again).toBe(first);
    expect(moved.checkIP('127.31.0.9')).toBe('127.31.0.9');
    expect(renewed.ca).not.toBe(client.ca);
    expect(new X509Certificate(renewed.certificate).verify(new X509Certificate(renewed.ca).publicKey)).toBe(true);
  });

  it('are signed by the same authority on a member that took it over', async () => {
    await pki.create('abc');
    const joiner = new EtcdPki(join(root, 'joiner'));
    await joiner.importAuthority(pki.authority());

    const leaf = certificateOf((await joiner.voterFiles('m2', ['127.31.0.2'])).certificate);
    expect(leaf.verify(new X509Certificate(pki.authority().certificate).publicKey)).toBe(true);
  });

  it('refuse an authority whose key is another one', async () => {
    const [one, two] = [await createAuthority('one'), await createAuthority('two')];

    await expect(pki.importAuthority({ certificate: one.certificate, key: two.key })).rejects.toMatchObject({ kind: 'invalid' });
    expect(pki.exists).toBe(false);
    expect(() => pki.authority()).toThrow('This member holds no certificates of a cluster');
  });
});
