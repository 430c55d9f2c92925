import type { X509Certificate } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { ClientConfig, fingerprintOf, remote as makeRemote, shownCertificate, type ApiClient, type ProxySettings, type Remote } from '#client';
import { AppError, forbidden, internal, invalid, messageOf, notFound } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import type { ServerInfo } from '../../server.js';

interface Token { readonly client_name: string; readonly fingerprint: string; readonly addresses: readonly string[]; readonly secret: string }

function decodeToken(text: string): Token | undefined {
  try {
    const token = JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Token;
    return typeof token.secret === 'string' && Array.isArray(token.addresses) && typeof token.fingerprint === 'string' ? token : undefined;
  } catch {
    return undefined;
  }
}

export const add: Run = async (invocation) => {
  const { args, flags, config } = invocation;
  const address = args.at(-1)!;
  const token = decodeToken(address);
  // A server named by its address only, or by a token, is called after its host.
  const name = args.length === 2 ? args[0]! : token === undefined ? address : hostOf(token.addresses[0] ?? '');
  if (args.length === 2 && name.includes(':')) throw invalid('Remote names may not contain colons');
  const known = config.remotes.get(name);
  if (known !== undefined) throw invalid(`Remote ${name} exists as <${known.addr}>`);
  const protocol = flags.text('protocol') === '' ? 'lxd' : flags.text('protocol');
  if (!['lxd', 'simplestreams'].includes(protocol)) throw invalid(`Invalid protocol: ${protocol}`);
  if (token !== undefined) return addByToken(invocation, name, address, token);
  if (protocol === 'simplestreams') {
    if (!/^https?:\/\//.test(address)) throw invalid('Only https URLs are supported for simplestreams');
    if (!address.startsWith('https:')) throw invalid('Only https URLs are supported for simplestreams');
    return save(config, name, makeRemote({ addr: address, protocol, public: true, project: flags.text('project') }));
  }
  if (/^unix:|^\//.test(address)) return save(config, name, makeRemote({ addr: address.startsWith('/') ? `unix:${address}` : address, protocol: 'lxd', authType: 'tls', project: flags.text('project') || 'default' }));
  await addByAddress(invocation, name, normalise(address));
};

function hostOf(address: string): string { return address.replace(/^\[?([^\]]*?)\]?:\d+$/, '$1'); }

function save(config: ClientConfig, name: string, value: Remote): void {
  config.remotes.set(name, value);
  config.save();
}

/** `host`, `host:port`, `https://host[:port]` to a URL with its port. Throws `invalid` for other schemes. */
function normalise(address: string): string {
  const scheme = /^([a-z+]+):\/\//.exec(address)?.[1];
  if (scheme !== undefined && scheme !== 'https') throw invalid(`Invalid URL scheme ${JSON.stringify(scheme)} in ${JSON.stringify(address)}`);
  const host = address.replace(/^https:\/\//, '').replace(/\/+$/, '');
  const bare = /^[0-9a-fA-F:]*:[0-9a-fA-F:]*:[0-9a-fA-F:]*$/.test(host) ? `[${host}]` : host;
  return /:\d+$/.test(bare.replace(/^\[.*\]/, '')) ? `https://${bare}` : `https://${bare}:8443`;
}

async function ensureCertificate(invocation: Invocation): Promise<void> {
  await invocation.config.ensureClientCertificate(() => invocation.note('Generating a client certificate. This may take a minute...'));
}

async function addByAddress(invocation: Invocation, name: string, addr: string): Promise<void> {
  const { flags, config } = invocation;
  if (!flags.bool('public')) await ensureCertificate(invocation);
  const certificate = await certificateOf(addr, config.proxy);
  const unpinned = invocation.apiAt({ url: addr, client: config.clientCertificate(), proxy: config.proxy });
  const trustedByAuthority = await unpinned.get('/1.0', { signal: AbortSignal.timeout(10_000) }).then(() => true, () => false).finally(() => unpinned.close());
  if (!trustedByAuthority) {
    const fingerprint = fingerprintOf(certificate);
    if (!flags.bool('accept-certificate')) await confirmFingerprint(invocation, fingerprint);
    config.pinServerCertificate(name, certificate.toString());
  }
  try {
    const value = await logIn(invocation, name, addr);
    save(config, name, value);
  } catch (error) {
    config.forgetServerCertificate(name);
    throw error;
  }
}

async function certificateOf(addr: string, proxy: ProxySettings | undefined): Promise<X509Certificate> {
  try {
    return await shownCertificate(addr.slice('https://'.length), proxy);
  } catch (error) {
    const host = addr.slice('https://'.length);
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ECONNREFUSED' ? `Unable to connect to: ${host} ([dial tcp ${host}: connect: connection refused])`
      : code === 'ENOTFOUND' || code === 'EAI_AGAIN' ? `Unable to connect to: ${host} ([lookup ${hostOf(host)}: no such host])` : messageOf(error);
    throw internal(`Get "${addr}": ${why}`, { cause: error });
  }
}

async function confirmFingerprint(invocation: Invocation, fingerprint: string): Promise<void> {
  invocation.print(`Certificate fingerprint: ${fingerprint}`);
  for (;;) {
    const answer = (await invocation.terminal.ask('ok (y/n/[fingerprint])? ')).trim();
    if (answer.toLowerCase() === fingerprint || /^y(es)?$/i.test(answer)) return;
    if (/^n(o)?$/i.test(answer)) throw invalid('Server certificate NACKed by user');
    if (/^[0-9a-f]{64}$/i.test(answer)) throw invalid('The fingerprint is another: the server is not the one you mean');
  }
}

async function logIn(invocation: Invocation, name: string, addr: string): Promise<Remote> {
  const { flags, config } = invocation;
  const connect = (): ApiClient => invocation.apiAt({ url: addr, certificate: config.serverCertificate(name) ?? '', client: config.clientCertificate(), proxy: config.proxy });
  let api = connect();
  try {
    const info = await api.get<ServerInfo>('/1.0');
    if (flags.bool('public')) return makeRemote({ addr, public: true });
    const authType = flags.text('auth-type') || 'tls';
    if (info.auth_methods !== undefined && !info.auth_methods.includes(authType)) throw invalid(`Authentication type '${authType}' not supported by server`);
    if (info.auth !== 'trusted') {
      const password = flags.text('password') || await invocation.terminal.askSecret(`Admin password (or token) for ${name}: `);
      if (flags.text('password') === '' && !invocation.terminal.inputIsTerminal) invocation.print('');
      await api.post('/1.0/certificates', { name: '', type: 'client', restricted: false, projects: null, certificate: '', password, token: false });
      // What a connection was trusted with when it began it keeps.
      api.close();
      api = connect();
      if ((await api.get<ServerInfo>('/1.0')).auth !== 'trusted') throw forbidden("Server doesn't trust us after authentication");
      if (flags.text('password') === '') invocation.print(`Client certificate now trusted by server: ${name}`);
    }
    return makeRemote({ addr, authType, protocol: 'lxd', project: flags.text('project') || await projectAt(invocation, api) });
  } finally {
    api.close();
  }
}

/** The only project there is for us; the default one where it is among several. */
async function projectAt(invocation: Invocation, api: ApiClient): Promise<string> {
  const projects = (await api.get<string[]>('/1.0/projects')).map((path) => decodeURIComponent(path.split('/').at(-1)!));
  if (projects.length === 0) return '';
  if (projects.length === 1) return projects[0]!;
  if (projects.includes('default')) return 'default';
  invocation.print(`Available projects:\n${projects.map((one) => `- ${one}\n`).join('')}`);
  for (;;) {
    const answer = (await invocation.terminal.ask(`Name of the project to use for this remote [default=${projects[0]}]: `)).trim() || projects[0]!;
    if (projects.includes(answer)) return answer;
  }
}

async function addByToken(invocation: Invocation, name: string, text: string, token: Token): Promise<void> {
  const { config, flags } = invocation;
  await ensureCertificate(invocation);
  const failures: string[] = [];
  for (const address of token.addresses) {
    const addr = `https://${address}`;
    try {
      const certificate = await shownCertificate(address, config.proxy);
      if (fingerprintOf(certificate) !== token.fingerprint) throw invalid(`Certificate fingerprint mismatch between certificate token and server "${addr}"`);
      const api = invocation.apiAt({ url: addr, certificate: certificate.toString(), client: config.clientCertificate(), proxy: config.proxy });
      try {
        await api.post('/1.0/certificates', { name: '', type: 'client', restricted: false, projects: null, certificate: '', password: text, token: false });
        config.pinServerCertificate(name, certificate.toString());
        save(config, name, makeRemote({ addr, authType: 'tls', protocol: 'lxd', project: flags.text('project') || await projectAt(invocation, api) }));
      } finally {
        api.close();
      }
      return;
    } catch (error) {
      if (AppError.is(error) && error.kind !== 'unavailable') throw error;
      failures.push(`${address}: ${messageOf(error)}`);
    }
  }
  throw internal(`Unable to connect to any of the addresses of the token:\n${failures.map((one) => ` - ${one}`).join('\n')}`);
}

export const getDefault: Run = async (invocation) => { invocation.print(invocation.config.defaultRemote); };

export const list: Run = async (invocation) => {
  const { config } = invocation;
  const sorted = [...config.remotes].sort(([a], [b]) => (a < b ? -1 : 1));
  const yes = (value: boolean): string => (value ? 'YES' : 'NO');
  const rows = sorted.map(([name, one]) => {
    const auth = one.authType !== '' ? one.authType : one.addr.startsWith('unix:') ? 'file access' : one.protocol === 'simplestreams' ? 'none' : 'tls';
    return [name === config.defaultRemote ? `${name} (current)` : name, one.addr, one.protocol === '' ? 'lxd' : one.protocol, one.addr.startsWith('unix:') ? 'file access' : auth, yes(one.public), yes(one.static), yes(one.global)];
  });
  const yaml = invocation.flags.text('format') === 'yaml';
  const data = Object.fromEntries(sorted.map(([name, one]) => [name, yaml ? yamlOf(one) : {
    Addr: one.addr, AuthType: one.authType, Domain: one.domain, Project: one.project, Protocol: one.protocol, Public: one.public, Global: one.global, Static: one.static,
  }]));
  invocation.printList(['NAME', 'URL', 'PROTOCOL', 'AUTH TYPE', 'PUBLIC', 'STATIC', 'GLOBAL'], sortRows(rows), data);
};

function yamlOf(one: Remote): Record<string, unknown> {
  const optional = { auth_type: one.authType, domain: one.domain, project: one.project, protocol: one.protocol };
  return { addr: one.addr, ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== '')), public: one.public };
}

/** Throws unless the remote is there and the user's. */
function changeable(config: ClientConfig, name: string): Remote {
  const found = config.remotes.get(name);
  if (found === undefined) throw notFound(`Remote ${name} doesn't exist`);
  if (found.static) throw invalid(`Remote ${name} is static and cannot be modified`);
  if (found.global) throw invalid(`Remote ${name} is global and cannot be removed`);
  return found;
}

export const remove: Run = async ({ config, args: [name = ''] }) => {
  changeable(config, name);
  if (config.defaultRemote === name) throw invalid("Can't remove the default remote");
  config.remotes.delete(name);
  config.forgetServerCertificate(name);
  config.save();
};

export const rename: Run = async ({ config, args: [from = '', to = ''] }) => {
  const found = changeable(config, from);
  const taken = config.remotes.get(to);
  if (taken !== undefined) throw invalid(`Remote ${to} already exists`);
  config.remotes.set(to, found);
  config.remotes.delete(from);
  config.moveServerCertificate(from, to);
  if (config.defaultRemote === from) config.defaultRemote = to;
  config.save();
};

export const setUrl: Run = async ({ config, args: [name = '', addr = ''] }) => save(config, name, { ...changeable(config, name), addr });

export const switchTo: Run = async ({ config, args: [name = ''] }) => {
  if (!config.remotes.has(name)) throw notFound(`Remote ${name} doesn't exist`);
  config.defaultRemote = name;
  config.save();
};

/** Takes over what another configuration has and this one lacks. */
export const importFrom: Run = async (invocation) => {
  const { config } = invocation;
  const directory = invocation.arg(0) || config.importable;
  if (directory === undefined || !existsSync(`${directory}/config.yml`)) throw notFound(`There is no configuration${directory === undefined ? '' : ` in "${directory}"`} to take over`);
  const other = ClientConfig.load({ directory, socketPath: '', parse: (await import('yaml')).parse });
  const taken: string[] = [];
  for (const [name, value] of other.remotes) {
    if (value.static || config.remotes.has(name)) continue;
    config.remotes.set(name, value);
    const pinned = other.serverCertificate(name);
    if (pinned !== undefined) config.pinServerCertificate(name, pinned);
    taken.push(name);
  }
  for (const [name, target] of other.aliases) if (!config.aliases.has(name)) config.aliases.set(name, target);
  const own = config.clientCertificate();
  const theirs = other.clientCertificate();
  mkdirSync(config.directory, { recursive: true, mode: 0o750 });
  if (own === undefined && theirs !== undefined) for (const file of ['client.crt', 'client.key']) copyFileSync(`${directory}/${file}`, `${config.directory}/${file}`);
  else if (own !== undefined && theirs !== undefined && own.certificate !== theirs.certificate) invocation.note('This user has shown servers a certificate of his own; servers that trust the other one do not know it.');
  config.save();
  invocation.print(taken.length === 0 ? 'No remote that was not known' : `Taken over: ${taken.join(', ')}`);
};

