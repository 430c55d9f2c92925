import { invalid, messageOf, notFound } from '#kernel';
import type { Invocation, Run } from '../invocation.js';
import { url, type Server } from '../server.js';
import { editYaml } from '../terminal/edit.js';
import { readKeys } from './keys.js';

type Raw = Record<string, unknown>;

export interface Found {
  readonly server: Server;
  /** Names of the object: of a forward, the network's and its address. */
  readonly names: readonly string[];
}

export interface KindOptions {
  /** What one is called in messages. Example: `Network` */
  readonly noun: string;
  /** Path below `/1.0` of the object named. Example: `['networks', 'lxdbr0']` */
  readonly path: (names: readonly string[]) => readonly string[];
  /** How many arguments name it. */
  readonly words?: number;
  /** What can be changed of it, and its empty value, in the order it is shown. */
  readonly shape: Raw;
  /** Asked before `--target` says which member. */
  readonly targeted?: boolean;
  /** Shown instead of everything the server says. */
  readonly shown?: (value: Raw) => unknown;
  /** Its users are shown in the order they were sent, not in that of their names. */
  readonly usersAsSent?: boolean;
  /** What stands above the YAML in an editor. */
  readonly explanation: string;
  /** Requests that change it are asynchronous. */
  readonly describe?: { readonly deleted?: (names: readonly string[]) => string; readonly renamed?: (from: string, to: string) => string };
  /** Keys that belong to the object and not to its `config`, as `description`. */
  readonly beforeSet?: (value: Raw, keys: Record<string, string>, server: Server, names: readonly string[]) => void;
  /** Complaint when a key that is read is not there; absent: nothing is printed but an empty line. */
  readonly unsetComplaint?: (key: string, names: readonly string[]) => string;
  /** How a request to rename it says the new name. */
  readonly nameKey?: string;
  readonly checkNames?: (names: readonly string[], invocation: Invocation) => void;
}

/** The commands that all objects with a configuration have in common: get, set, unset, show, edit, rename, delete. */
export class ConfigKind {
  private readonly words: number;

  constructor(private readonly options: KindOptions) {
    this.words = options.words ?? 1;
  }

  /** The object that the first arguments name. */
  async find(invocation: Invocation): Promise<Found> {
    const { server, name } = await invocation.place(invocation.arg(0));
    const names = [name, ...invocation.args.slice(1, this.words)];
    if (name === '') throw invalid(`Missing ${this.options.noun.toLowerCase()} name`);
    this.options.checkNames?.(names, invocation);
    return { server, names };
  }

  url(names: readonly string[], invocation?: Invocation): string {
    return url(this.options.path(names), { target: invocation?.flags.text('target') });
  }

  readonly get: Run = async (invocation) => {
    const { server, names } = await this.find(invocation);
    const { config } = await server.get<{ config: Record<string, string> | null }>(this.url(names, invocation));
    const key = invocation.arg(this.words);
    if (config?.[key] === undefined && this.options.unsetComplaint !== undefined) throw invalid(this.options.unsetComplaint(key, names));
    invocation.print(config?.[key] ?? '');
  };

  readonly set: Run = async (invocation) => {
    const { server, names } = await this.find(invocation);
    await this.change(invocation, server, names, () => readKeys(invocation, invocation.args.slice(this.words)));
  };

  readonly unset: Run = async (invocation) => {
    const { server, names } = await this.find(invocation);
    await this.change(invocation, server, names, () => ({ [invocation.arg(this.words)]: '' }));
  };

  /** Whether the object is there is found out before the keys are read. */
  private async change(invocation: Invocation, server: Server, names: readonly string[], read: () => Record<string, string> | Promise<Record<string, string>>): Promise<void> {
    const path = this.url(names, invocation);
    const { value, etag } = await server.fetch<Raw>(path);
    const keys = await read();
    this.options.beforeSet?.(value, keys, server, names);
    const put = this.writable(value);
    put['config'] = { ...(put['config'] as Record<string, string> | null), ...keys };
    await invocation.run(server, 'PUT', path, put, '', { 'if-match': etag });
  }

  /** Only what can be changed, in order; what lacks has its empty value. */
  writable(value: Raw | null): Raw {
    return Object.fromEntries(Object.entries(this.options.shape).map(([key, fallback]) => [key, value?.[key] ?? fallback]));
  }

  readonly show: Run = async (invocation) => {
    const { server, names } = await this.find(invocation);
    const value = await server.get<Raw>(this.url(names, invocation));
    if (Array.isArray(value['used_by']) && !this.options.usersAsSent) (value['used_by'] as string[]).sort();
    invocation.printYaml(this.options.shown?.(value) ?? value);
  };

  readonly edit: Run = async (invocation) => {
    const { server, names } = await this.find(invocation);
    const path = this.url(names, invocation);
    let etag = '';
    await editYaml(invocation, {
      explanation: this.options.explanation,
      load: async () => {
        const found = await server.fetch<Raw>(path);
        etag = found.etag;
        return found.value;
      },
      save: async (value) => {
        await invocation.run(server, 'PUT', path, this.writable(value as Raw | null), '', etag === '' ? {} : { 'if-match': etag });
      },
    });
  };

  readonly rename: Run = async (invocation) => {
    const { server, names } = await this.find(invocation);
    const to = invocation.arg(this.words);
    await invocation.run(server, 'POST', this.url(names), { [this.options.nameKey ?? 'name']: to });
    invocation.print(this.options.describe?.renamed?.(names.at(-1)!, to) ?? `${this.options.noun} ${names.at(-1)} renamed to ${to}`);
  };

  readonly remove: Run = async (invocation) => {
    const { server, names } = await this.find(invocation);
    await invocation.run(server, 'DELETE', this.url(names, invocation));
    if (!invocation.flags.bool('quiet')) invocation.print(this.options.describe?.deleted?.(names) ?? `${this.options.noun} ${names.at(-1)} deleted`);
  };
}

/** A complaint of a lookup, in the words for what was looked up. */
export function missing(what: string, error: unknown): Error {
  return notFound(`${what}: ${messageOf(error)}`, { cause: error });
}
