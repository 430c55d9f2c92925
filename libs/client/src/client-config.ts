import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { invalid, messageOf, notFound, wrap } from '#kernel';
import type { ApiEndpoint } from './api-client.js';
import type { ProxySettings } from './proxies.js';
import { parsePlainYaml } from './plain-yaml.js';

/** A server somebody gave a name, as `config.yml` keeps it. */
export interface Remote {
  /** `unix://`, `unix:///path/of.socket` or `https://host:port` */
  readonly addr: string;
  /** `tls`; empty for image servers and the local one. */
  readonly authType: string;
  readonly domain: string;
  /** Used where a command names no project; empty: `default`. */
  readonly project: string;
  /** `lxd` (or empty, the same) or `simplestreams` */
  readonly protocol: string;
  readonly public: boolean;
  /** From the administrator's file, not the user's. */
  readonly global: boolean;
  /** Built in; cannot be changed. */
  readonly static: boolean;
}

const remoteDefaults: Remote = { addr: '', authType: '', domain: '', project: '', protocol: '', public: false, global: false, static: false };

export function remote(values: Partial<Remote> & { readonly addr: string }): Remote {
  return { ...remoteDefaults, ...values };
}

const staticRemotes: Readonly<Record<string, Remote>> = {
  local: remote({ addr: 'unix://', static: true }),
  ubuntu: remote({ addr: 'https://cloud-images.ubuntu.com/releases', protocol: 'simplestreams', public: true, static: true }),
  'ubuntu-daily': remote({ addr: 'https://cloud-images.ubuntu.com/daily', protocol: 'simplestreams', public: true, static: true }),
};

export interface ClientConfigOptions {
  /** Where `config.yml` lies. */
  readonly directory: string;
  /** A file or directory of the administrator's, read first. */
  readonly globalDirectory?: string;
  /** Where `unix://` leads. */
  readonly socketPath: string;
  /** Reads YAML that is not as plain as what `save` writes. A parameter, so that who needs none loads no parser. */
  readonly parse: (text: string) => unknown;
  readonly proxy?: ProxySettings;
  /** Where another client of the same kind may have left a configuration. */
  readonly otherDirectory?: string;
}

type Raw = Readonly<Record<string, unknown>>;

/**
 * What a user has told the client once: remotes, their certificates, which of them is meant by default, and aliases. The files are those of the
 * `lxc` client, key by key, so that one directory serves both.
 */
export class ClientConfig {
  defaultRemote = 'local';
  readonly remotes = new Map<string, Remote>();
  readonly aliases = new Map<string, string>();
  readonly directory: string;

  constructor(private readonly options: ClientConfigOptions) {
    this.directory = options.directory;
    this.remotes.set('images', remote({ addr: 'https://images.linuxcontainers.org', protocol: 'simplestreams', public: true }));
    for (const [name, value] of Object.entries(staticRemotes)) this.remotes.set(name, value);
  }

  /** The configuration of a directory, or what a first start has. Throws `invalid` for a file that cannot be read. */
  static load(options: ClientConfigOptions): ClientConfig {
    const config = new ClientConfig(options);
    if (options.globalDirectory !== undefined) config.read(`${options.globalDirectory}/config.yml`, true);
    config.read(config.file, false);
    for (const [name, value] of Object.entries(staticRemotes)) {
      const found = config.remotes.get(name);
      if (found === undefined || name === 'local') config.remotes.set(name, { ...value, project: found?.project ?? '' });
    }
    return config;
  }

  /** Whether one of the files takes a real parser. */
  static needsParser(directories: readonly string[]): boolean {
    return directories.some((directory) => {
      const text = readIfThere(`${directory}/config.yml`);
      return text !== undefined && parsePlainYaml(text) === undefined;
    });
  }

  get file(): string { return `${this.directory}/config.yml`; }

  /** Whether anything was saved here before. */
  get exists(): boolean { return existsSync(this.file); }

  /** The other client's directory, if there is something to take over. */
  get importable(): string | undefined {
    const { otherDirectory } = this.options;
    return otherDirectory !== undefined && otherDirectory !== this.directory && existsSync(`${otherDirectory}/config.yml`) ? otherDirectory : undefined;
  }

  private read(file: string, global: boolean): void {
    if (!existsSync(file)) return;
    try {
      const text = readFileSync(file, 'utf8');
      const raw = (parsePlainYaml(text) ?? this.options.parse(text) ?? {}) as Raw;
      // Of the administrator's file only remotes count.
      if (!global && typeof raw['default-remote'] === 'string' && raw['default-remote'] !== '') this.defaultRemote = raw['default-remote'];
      // A file of the user's names all remotes he wants, so the one that is offered at first goes.
      if (!global && raw['remotes'] !== undefined) this.remotes.delete('images');
      for (const [name, value] of Object.entries((raw['remotes'] ?? {}) as Record<string, Raw>)) {
        const text = (key: string): string => (typeof value[key] === 'string' ? value[key] : '');
        this.remotes.set(name, remote({
          addr: text('addr'), authType: text('auth_type'), domain: text('domain'), project: text('project'), protocol: text('protocol'),
          public: isTrue(value['public']), global,
        }));
      }
      if (!global) for (const [name, value] of Object.entries((raw['aliases'] ?? {}) as Raw)) this.aliases.set(name, String(value));
    } catch (error) {
      throw invalid(`Unable to decode the configuration "${file}": ${messageOf(error)}`, { cause: error });
    }
  }

  /** Writes what is the user's. The file is whole at every moment. */
  save(): void {
    const quote = (text: string): string => (/^[A-Za-z0-9_./-][A-Za-z0-9_./:@%+=, -]*$/.test(text) && !/: |:$| $|^(true|false|null|yes|no|on|off|[0-9.]+)$/i.test(text) ? text : JSON.stringify(text));
    const lines = [`default-remote: ${quote(this.defaultRemote)}`, 'remotes:'];
    for (const [name, value] of sorted(this.remotes)) {
      if (value.global || (value.static && name !== 'local')) continue;
      lines.push(`  ${quote(name)}:`, `    addr: ${quote(value.addr)}`);
      for (const [key, text] of [['auth_type', value.authType], ['domain', value.domain], ['project', value.project], ['protocol', value.protocol]] as const) {
        if (text !== '') lines.push(`    ${key}: ${quote(text)}`);
      }
      lines.push(`    public: ${value.public}`);
    }
    lines.push(this.aliases.size === 0 ? 'aliases: {}' : 'aliases:');
    for (const [name, value] of sorted(this.aliases)) lines.push(`  ${quote(name)}: ${quote(value)}`);
    mkdirSync(this.directory, { recursive: true, mode: 0o750 });
    writeFileSync(`${this.file}.new`, `${lines.join('\n')}\n`, { mode: 0o644 });
    renameSync(`${this.file}.new`, this.file);
  }

  /**
   * Splits `remote:name`. Without a colon the default remote is meant; so is it when what stands before the colon is part of a path
   * (`c1/snap:1`). Throws `not-found` for a remote that is not known.
   */
  parseRemote(text: string): { readonly remote: string; readonly name: string } {
    const colon = text.indexOf(':');
    if (colon < 0) return { remote: this.defaultRemote, name: text };
    const before = text.slice(0, colon);
    if (this.remotes.has(before)) return { remote: before, name: text.slice(colon + 1) };
    if (before.includes('/')) return { remote: this.defaultRemote, name: text };
    throw notFound(`The remote "${before}" doesn't exist`);
  }

  remote(name: string): Remote {
    const found = this.remotes.get(name);
    if (found === undefined) throw notFound(`The remote "${name}" doesn't exist`);
    return found;
  }

  /** How to reach a remote of protocol `lxd`. */
  endpoint(name: string): ApiEndpoint {
    const { addr } = this.remote(name);
    if (addr.startsWith('unix:')) {
      const path = addr.replace(/^unix:(\/\/)?/, '');
      return { socketPath: path === '' ? this.options.socketPath : path };
    }
    const pinned = this.serverCertificate(name);
    return { url: addr, certificate: pinned ?? '', client: this.clientCertificate(), proxy: this.proxy };
  }

  /** Between this user and servers on the network. */
  get proxy(): ProxySettings | undefined { return this.options.proxy; }

  /** PEM of the certificate somebody accepted for a remote. */
  serverCertificate(name: string): string | undefined { return readIfThere(this.certificateFile(name)); }

  pinServerCertificate(name: string, pem: string): void {
    mkdirSync(`${this.directory}/servercerts`, { recursive: true, mode: 0o750 });
    try {
      writeFileSync(this.certificateFile(name), pem, { mode: 0o644 });
    } catch (error) {
      throw wrap(error, `Failed to create "${this.certificateFile(name)}"`);
    }
  }

  forgetServerCertificate(name: string): void { rmSync(this.certificateFile(name), { force: true }); }

  moveServerCertificate(from: string, to: string): void {
    if (existsSync(this.certificateFile(from))) renameSync(this.certificateFile(from), this.certificateFile(to));
  }

  private certificateFile(name: string): string { return `${this.directory}/servercerts/${name}.crt`; }

  /** The pair this user shows to servers; undefined before the first was made. */
  clientCertificate(): { readonly certificate: string; readonly key: string } | undefined {
    const certificate = readIfThere(`${this.directory}/client.crt`);
    const key = readIfThere(`${this.directory}/client.key`);
    return certificate === undefined || key === undefined ? undefined : { certificate, key };
  }

  /** Makes the pair unless it is there. True when it was made. */
  async ensureClientCertificate(before: () => void = () => undefined): Promise<boolean> {
    if (this.clientCertificate() !== undefined) return false;
    before();
    const { generateClientCertificate } = await import('./client-certificate.js');
    const { certificate, key } = await generateClientCertificate(`${userInfo().username}@${(await import('node:os')).hostname()}`);
    mkdirSync(this.directory, { recursive: true, mode: 0o750 });
    writeFileSync(`${this.directory}/client.key`, key, { mode: 0o600 });
    chmodSync(`${this.directory}/client.key`, 0o600);
    writeFileSync(`${this.directory}/client.crt`, certificate, { mode: 0o644 });
    return true;
  }
}

/** In the YAML of `lxc` more words than one are true. */
function isTrue(value: unknown): boolean {
  return value === true || (typeof value === 'string' && /^(y|yes|on)$/i.test(value));
}

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw invalid(`Unable to read the configuration: open ${file}: ${code === 'ENOTDIR' ? 'not a directory' : code === 'EACCES' ? 'permission denied' : messageOf(error)}`, { cause: error });
  }
}
