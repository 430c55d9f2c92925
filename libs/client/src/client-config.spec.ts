import { X509Certificate, createPrivateKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ClientConfig, generateClientCertificate, remote } from './index.js';
import { parsePlainYaml } from './plain-yaml.js';

let directory: string;
const load = (): ClientConfig => ClientConfig.load({ directory, socketPath: '/run/x.socket', parse });

beforeEach(() => { directory = mkdtempSync(`${tmpdir()}/roost-config-`); });
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('ClientConfig', () => {
  it('knows the local server and image servers at first', () => {
    const config = load();
    expect(config.exists).toBe(false);
    expect([...config.remotes.keys()].sort()).toEqual(['images', 'local', 'ubuntu', 'ubuntu-daily']);
    expect(config.endpoint('local')).toEqual({ socketPath: '/run/x.socket' });
  });

  it('writes the file of `lxc`, and reads it again', () => {
    const config = load();
    config.remotes.set('two', remote({ addr: 'https://10.0.0.2:8443', authType: 'tls', protocol: 'lxd', project: 'default' }));
    config.aliases.set('net ls', 'network list -f "csv"');
    config.save();
    expect(readFileSync(config.file, 'utf8')).toBe(`default-remote: local
remotes:
  images:
    addr: https://images.linuxcontainers.org
    protocol: simplestreams
    public: true
  local:
    addr: unix://
    public: false
  two:
    addr: https://10.0.0.2:8443
    auth_type: tls
    project: default
    protocol: lxd
    public: false
aliases:
  net ls: "network list -f \\"csv\\""
`);
    const again = load();
    expect(again.remote('two')).toEqual(config.remote('two'));
    expect(again.aliases.get('net ls')).toBe('network list -f "csv"');
    expect(again.endpoint('two')).toMatchObject({ url: 'https://10.0.0.2:8443', certificate: '' });
  });

  it('keeps what it does not offer by itself out of a file that lacks it', () => {
    writeFileSync(`${directory}/config.yml`, 'default-remote: b\nremotes:\n  b: {addr: "https://b"}\n');
    expect([...load().remotes.keys()].sort()).toEqual(['b', 'local', 'ubuntu', 'ubuntu-daily']);
    expect(load().defaultRemote).toBe('b');
  });

  it('says which file cannot be read', () => {
    writeFileSync(`${directory}/config.yml`, 'remotes: [unfinished');
    expect(load).toThrow(`Unable to decode the configuration "${directory}/config.yml"`);
  });

  it.each([['c1', 'local', 'c1'], ['local:c1', 'local', 'c1'], ['local:', 'local', ''], ['c1/snap:1', 'local', 'c1/snap:1']])('reads %s as %s and %s', (text, name, rest) => {
    expect(load().parseRemote(text)).toEqual({ remote: name, name: rest });
  });

  it('knows no other remote', () => {
    expect(() => load().parseRemote('other:c1')).toThrow('The remote "other" doesn\'t exist');
  });

  it('pins, moves and forgets certificates of servers', () => {
    const config = load();
    config.pinServerCertificate('a', 'PEM');
    config.moveServerCertificate('a', 'b');
    expect([config.serverCertificate('a'), config.serverCertificate('b')]).toEqual([undefined, 'PEM']);
    config.forgetServerCertificate('b');
    expect(config.serverCertificate('b')).toBeUndefined();
  });

  it('makes the certificate of a user once', async () => {
    const config = load();
    expect(await config.ensureClientCertificate()).toBe(true);
    const first = config.clientCertificate();
    expect(statSync(`${directory}/client.key`).mode & 0o777).toBe(0o600);
    expect(await config.ensureClientCertificate()).toBe(false);
    expect(config.clientCertificate()).toEqual(first);
  });
});

describe('generateClientCertificate', () => {
  it('makes one that verifies, for client authentication', () => {
    const { certificate, key } = generateClientCertificate('joe@läptop');
    const x509 = new X509Certificate(certificate);

    expect(x509.subject).toBe('O=linuxcontainers.org\nCN=joe@läptop');
    expect(x509.verify(x509.publicKey)).toBe(true);
    expect(x509.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(x509.ca).toBe(false);
    expect(x509.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(x509.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'secp384r1' });
    expect(key).toMatch(/^-----BEGIN EC PRIVATE KEY-----/);
    expect(new Date(x509.validTo).getTime() - Date.now()).toBeGreaterThan(9 * 365 * 24 * 3600 * 1000);
  });
});

describe('parsePlainYaml', () => {
  it.each(['a: b\nc:\n  d: e\n  f:\n    g: true\nh: {}\n', 'a: https://x:8443\nb: "1 \\"2\\""\n', 'a:\nb:\n  c: d\n', '# only this\n'])('reads %j as a parser does', (text) => {
    expect(parsePlainYaml(text)).toEqual(parse(text) ?? {});
  });

  it.each(['a: [1]', 'a: 5', '- a', 'a: |\n  b', 'a: yes', 'a: b # c', "a: 'b'", 'a: {b: c}', 'a: &x b', 'a: b: c'])('leaves %j to one', (text) => {
    expect(parsePlainYaml(text)).toBeUndefined();
  });
});
