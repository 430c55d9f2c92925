import type { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { AppError, internal, invalid, KeyedMutex, notFound, type RequestContext } from '#kernel';
import { VolumeArchives } from '#ports';
import { checkEtag, emptyResponse, streamResponse, syncResponse, type ApiResponse } from '#platform/http';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { sftpOpen } from '../files/sftp-packets.js';
import type { SftpClient } from '../files/sftp-client.js';
import { InstanceFileSessions } from '../files/instance-file-sessions.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { InstanceSpecs } from '../instance-specs.js';
import { patchMetadata, readMetadata, sorted, writeMetadata, type InstanceMetadata, type InstanceMetadataPatch, type InstanceMetadataPut } from './instance-metadata.rules.js';

const directory = '/templates';
const templateBytesMax = 1024 * 1024;
const file = 'metadata.yaml';

/** `metadata.yaml` of an instance and the templates beside it, which came with its image and are its own since. */
@Injectable()
export class InstanceMetadataService {
  /** Changes rest on what was read. */
  private readonly changes = new KeyedMutex();

  constructor(
    private readonly archives: VolumeArchives,
    private readonly specs: InstanceSpecs,
    private readonly sessions: InstanceFileSessions,
    private readonly events: InstanceLifecycleEvents,
  ) {}

  /** For whoever works on the instance. */
  async read(instance: ExpandedInstance): Promise<InstanceMetadata> {
    return readMetadata(await this.archives.readVolumeFile(this.specs.build(instance).rootVolume, '', file));
  }

  async show(ctx: RequestContext, instance: ExpandedInstance): Promise<ApiResponse> {
    const metadata = await this.read(instance);
    this.tell(ctx, instance, 'metadata-retrieved', ['metadata']);
    return syncResponse(metadata, { etag: metadata });
  }

  async replace(ctx: RequestContext, instance: ExpandedInstance, metadata: InstanceMetadataPut, ifMatch: string | undefined): Promise<ApiResponse> {
    const { properties, templates } = metadata;
    return this.change(ctx, instance, ifMatch, () => ({ ...metadata, properties: sorted(properties), templates: sorted(templates) }));
  }

  async patch(ctx: RequestContext, instance: ExpandedInstance, patch: InstanceMetadataPatch, ifMatch: string | undefined): Promise<ApiResponse> {
    return this.change(ctx, instance, ifMatch, (before) => patchMetadata(before, patch));
  }

  /** Names, sorted. */
  async listTemplates(instance: ExpandedInstance): Promise<string[]> {
    try {
      return (await this.sessions.use(instance, 'volume', (client) => client.readdir(directory))).sort();
    } catch (error) {
      if (AppError.is(error, 'not-found')) return [];
      throw error;
    }
  }

  async showTemplate(ctx: RequestContext, instance: ExpandedInstance, name: string): Promise<ApiResponse> {
    const path = templatePath(name);
    const { content, modifiedAt } = await this.sessions.use(instance, 'volume', async (client) => {
      const handle = await found(client.open(path, sftpOpen.read), name);
      return { content: await readTemplate(client, handle), modifiedAt: (await client.fstat(handle)).modifiedAt };
    });
    this.tell(ctx, instance, 'metadata-template-retrieved', ['metadata', 'templates'], name);
    const headers = { 'Accept-Ranges': 'bytes', 'Content-Disposition': `inline;filename=${headerText(name)}`, 'Last-Modified': new Date(modifiedAt * 1000).toUTCString() };
    return streamResponse(content, { headers });
  }

  async writeTemplate(ctx: RequestContext, instance: ExpandedInstance, name: string, body: Readable): Promise<ApiResponse> {
    const path = templatePath(name);
    const content = await collect(body);
    await this.sessions.use(instance, 'volume', async (client) => {
      await client.mkdir(directory, 0o711).catch((error: unknown) => {
        if (!AppError.is(error, 'internal')) throw error; // It is there.
      });
      const handle = await client.open(path, sftpOpen.write | sftpOpen.create | sftpOpen.truncate, 0o644);
      if (content.length > 0) await client.writeBytes(handle, 0, content);
    });
    this.tell(ctx, instance, 'metadata-template-created', ['metadata', 'templates'], name);
    return emptyResponse();
  }

  async removeTemplate(ctx: RequestContext, instance: ExpandedInstance, name: string): Promise<ApiResponse> {
    const path = templatePath(name);
    await this.sessions.use(instance, 'volume', (client) => found(client.remove(path), name));
    this.tell(ctx, instance, 'metadata-template-deleted', ['metadata', 'templates'], name);
    return emptyResponse();
  }

  private async change(ctx: RequestContext, instance: ExpandedInstance, ifMatch: string | undefined, edit: (before: InstanceMetadata) => InstanceMetadata): Promise<ApiResponse> {
    const { rootVolume } = this.specs.build(instance);
    await this.changes.run(`${instance.row.id}`, async () => {
      const before = await this.read(instance);
      checkEtag(ifMatch, before);
      await this.archives.writeVolumeFile(rootVolume, file, writeMetadata(edit(before)));
    });
    this.tell(ctx, instance, 'metadata-updated', ['metadata']);
    return emptyResponse();
  }

  private tell({ requestor }: RequestContext, { row }: ExpandedInstance, action: string, path: readonly string[], template?: string): void {
    this.events.send(action, row, { requestor, path, ...(template === undefined ? {} : { context: { path: template } }) });
  }
}

/** @throws in LXD's words for what is no name of a file. */
function templatePath(name: string): string {
  if (name === '') throw invalid('missing path argument');
  if (name.includes('/') || name.includes('\0') || name === '.' || name === '..') throw internal('Invalid template filename');
  return `${directory}/${name}`;
}

async function found<T>(work: Promise<T>, name: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw AppError.is(error, 'not-found') ? notFound(`Template "${name}" not found`) : error;
  }
}

/** @throws `invalid` for one that is too long. */
export async function readTemplate(client: SftpClient, handle: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let bytes = 0; ; ) {
    const chunk = await client.readBytes(handle, bytes, 256 * 1024);
    if (chunk.length === 0) return Buffer.concat(chunks);
    bytes += chunk.length;
    if (bytes > templateBytesMax) throw invalid(`A template may have at most ${templateBytesMax} bytes`);
    chunks.push(chunk);
  }
}

async function collect(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > templateBytesMax) throw invalid(`A template may have at most ${templateBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function headerText(name: string): string {
  return Buffer.from(name, 'utf8').toString('latin1').replaceAll(/[^\x20-\x7e\x80-\xff]/g, ' ');
}
