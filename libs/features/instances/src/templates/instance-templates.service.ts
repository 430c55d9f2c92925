import { Injectable } from '@nestjs/common';
import { AppError, internal, messageOf, wrap } from '#kernel';
import { InstanceCatalog, type ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceFileSessions } from '../files/instance-file-sessions.js';
import type { SftpClient } from '../files/sftp-client.js';
import { sftpOpen } from '../files/sftp-packets.js';
import { InstanceMetadataService, readTemplate } from './instance-metadata.service.js';
import type { MetadataTemplate } from './instance-metadata.rules.js';
import { renderTemplate } from './pongo/template.js';
import { mapOf, show, TemplateFunction, type Value } from './pongo/values.js';

const chunkBytes = 512 * 1024;

interface Wanted {
  readonly path: string;
  readonly trigger: string;
  readonly template: MetadataTemplate;
}

/**
 * Files that an image wants made anew when its instance was created, copied or renamed, or starts. Rendered here, where no right is to be had; read and written where nothing but
 * the instance's own volume can be reached.
 */
@Injectable()
export class InstanceTemplates {
  constructor(
    private readonly metadata: InstanceMetadataService,
    private readonly catalog: InstanceCatalog,
    private readonly sessions: InstanceFileSessions,
  ) {}

  /** Of a stopped instance that is to start: for what happened to it (`volatile.apply_template`) and for the start. May be done twice. */
  async apply(instance: ExpandedInstance): Promise<void> {
    const config = this.catalog.fullConfig(instance);
    const templates = Object.entries((await this.metadata.read(instance)).templates ?? {});
    const triggers = [config['volatile.apply_template'] ?? '', 'start'].filter((trigger) => trigger !== '');
    const wanted = triggers.flatMap((trigger) => templates.filter(([, { when }]) => when.includes(trigger)).map(([path, template]): Wanted => ({ path, trigger, template })));
    if (wanted.length === 0) return;
    try {
      const sources = await this.sessions.use(instance, 'volume', async (client) => {
        const names = [...new Set(wanted.map(({ template }) => template.template))];
        return new Map(await Promise.all(names.map(async (name) => [name, await readSource(client, name)] as const)));
      });
      await this.sessions.use(instance, 'instance', async (client) => {
        for (const one of wanted) await this.write(client, instance, one, sources.get(one.template.template) ?? '');
      });
    } catch (error) {
      throw wrap(error, 'Failed to render template');
    }
  }

  private async write(client: SftpClient, instance: ExpandedInstance, { path: given, trigger, template }: Wanted, source: string): Promise<void> {
    const path = given.startsWith('/') ? given : `/${given}`;
    if (template.create_only && (await exists(client, path))) return;
    const content = Buffer.from(renderTemplate(source, this.names(instance, given, trigger, template)), 'utf8');
    await makeParents(client, path);
    const handle = await client.open(path, sftpOpen.write | sftpOpen.create | sftpOpen.truncate, 0o644);
    for (let at = 0; at < content.length; at += chunkBytes) await client.writeBytes(handle, at, content.subarray(at, at + chunkBytes));
  }

  private names(instance: ExpandedInstance, path: string, trigger: string, template: MetadataTemplate): Record<string, Value> {
    const { row, expandedDevices } = instance;
    const config = new Map(Object.entries(this.catalog.fullConfig(instance)));
    const facts = mapOf({
      name: row.name, type: row.type, architecture: row.architecture, privileged: String(config.get('security.privileged') === 'true'), ephemeral: String(row.ephemeral),
    });
    return {
      trigger, path, config, container: facts, instance: facts, properties: mapOf(template.properties ?? {}),
      devices: mapOf(Object.fromEntries(Object.entries(expandedDevices).map(([name, device]) => [name, mapOf(device)]))),
      config_get: new TemplateFunction('config_get', 2, ([key = null, otherwise = null]) => config.get(show(key)) ?? otherwise),
    };
  }
}

async function readSource(client: SftpClient, name: string): Promise<string> {
  if (name === '' || name.includes('/')) throw internal(`Invalid template filename "${name}"`);
  try {
    return (await readTemplate(client, await client.open(`/templates/${name}`, sftpOpen.read))).toString('utf8');
  } catch (error) {
    throw internal(`Failed to read template "${name}": ${messageOf(error)}`, { cause: error });
  }
}

async function exists(client: SftpClient, path: string): Promise<boolean> {
  try {
    await client.lstat(path);
    return true;
  } catch (error) {
    if (AppError.is(error, 'not-found')) return false;
    throw error;
  }
}

async function makeParents(client: SftpClient, path: string): Promise<void> {
  for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1)) {
    const parent = path.slice(0, at);
    if (!(await exists(client, parent))) await client.mkdir(parent, 0o755);
  }
}
