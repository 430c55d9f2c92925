import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { AppError, internal, invalid, notFound, unavailable } from '#kernel';
import { emptyResponse, streamResponse, syncResponse, type ApiResponse, type RawRequestBody } from '#platform/http';
import type { ExpandedInstance } from '../data/instance.catalog.js';
import { InstanceLifecycleEvents } from '../instance-lifecycle-events.js';
import { byteRange } from './byte-range.rules.js';
import { dispositionName, fileHeaders, fileType, pushRequest, type PushRequest } from './file-headers.rules.js';
import { goQuote } from './go-quote.rules.js';
import { InstanceFileSessions } from './instance-file-sessions.js';
import type { SftpClient } from './sftp-client.js';
import { sftpOpen, type FileAttributes } from './sftp-packets.js';

/** Less than this goes in one message, and leaves the connection for the next request. */
const smallBytes = 128 * 1024;
/** Longest target of a link that Linux knows. */
const linkBytesMax = 4096;

interface Reading {
  readonly path: Buffer;
  readonly headers: IncomingHttpHeaders;
}

/** `/1.0/instances/{name}/files`: one file, directory or link at a time. */
@Injectable()
export class InstanceFilesService {
  constructor(
    private readonly sessions: InstanceFileSessions,
    private readonly events: InstanceLifecycleEvents,
  ) {}

  async describe(instance: ExpandedInstance, given: Buffer): Promise<ApiResponse> {
    const path = absolute(given, 'lstat');
    const headers = await this.sessions.use(instance, 'instance', async (client) => fileHeaders(await client.lstat(path)));
    return syncResponse({}, { headers });
  }

  /** A directory's names, a link's target, or a file's bytes. */
  async read(instance: ExpandedInstance, given: Buffer, headers: IncomingHttpHeaders): Promise<ApiResponse> {
    const path = absolute(given, 'lstat');
    const answer = await this.sessions.use(instance, 'instance', async (client, keep) => {
      // Asked together; what opens or not is looked at only for what is a file.
      const opening = client.open(path, sftpOpen.read);
      opening.catch(() => undefined);
      const attributes = await client.lstat(path);
      const type = fileType(attributes);
      if (type === 'directory') return syncResponse(await client.readdir(path), { headers: fileHeaders(attributes) });
      if (type === 'symlink') return bytesResponse(await client.readlink(path), { path, headers }, attributes);
      const handle = await opening;
      // What was opened is what is described: the name may stand for something else by now.
      const [opened, front] = await Promise.all([client.fstat(handle), client.readBytes(handle, 0, smallBytes)]);
      // Files of /proc and the like do not say how long they are.
      if (opened.size === 0 && front.length > 0) return bytesResponse(await readAll(client, handle), { path, headers }, opened);
      if (front.length >= opened.size) return bytesResponse(front, { path, headers }, opened);
      return fileResponse({ path, headers }, opened, async (first, length) => {
        const body = await client.get(handle, first, length);
        keep();
        return body;
      });
    });
    this.events.send('file-retrieved', instance.row, { context: { path: path.toString('utf8') } });
    return answer;
  }

  async write(instance: ExpandedInstance, given: Buffer, headers: IncomingHttpHeaders, body: RawRequestBody): Promise<ApiResponse> {
    const path = absolute(given, 'open');
    const request = pushRequest(headers);
    await this.sessions.use(instance, 'instance', async (client) => {
      if (request.type === 'directory') await makeDirectory(client, path, request);
      else if (request.type === 'symlink') await client.symlink(await readTarget(body.stream), path);
      else await writeFile(client, path, request, body);
    });
    this.events.send('file-pushed', instance.row, { context: { path: path.toString('utf8') } });
    return emptyResponse();
  }

  async remove(instance: ExpandedInstance, given: Buffer): Promise<ApiResponse> {
    const path = absolute(given, 'remove');
    await this.sessions.use(instance, 'instance', (client) => client.remove(path));
    this.events.send('file-deleted', instance.row, { context: { path: path.toString('utf8') } });
    return emptyResponse();
  }
}

/** @throws in LXD's words for what is no path; `verb` is what it would have been used for. */
function absolute(given: Buffer, verb: string): Buffer {
  if (given.length === 0) throw invalid('Missing path argument');
  const path = given[0] === 0x2f ? given : Buffer.concat([Buffer.from('/'), given]);
  if (path.includes(0)) throw internal(`sftp: ${goQuote(Buffer.concat([Buffer.from(`${verb} `), path, Buffer.from(': invalid argument')]))} (SSH_FX_FAILURE)`);
  return path;
}

/** What is there already is left as it is, whatever it is. */
async function makeDirectory(client: SftpClient, path: Buffer, { uid, gid, mode }: PushRequest): Promise<void> {
  if (await client.lstat(path).then(() => true, (error: unknown) => { if (AppError.is(error, 'not-found')) return false; throw error; })) return;
  await client.mkdir(path, mode);
  await client.lsetstat(path, { owner: { uid, gid } });
}

/** A new file belongs to whom it is meant for before the first byte is in it; one that was there keeps owner and mode. */
async function writeFile(client: SftpClient, path: Buffer, { append, uid, gid, mode }: PushRequest, { size, stream }: RawRequestBody): Promise<void> {
  const handle = append ? await client.open(path, sftpOpen.write | sftpOpen.append)
    : (await openThere(client, path)) ?? (await createFile(client, path, { uid, gid, mode })) ?? (await client.open(path, sftpOpen.write | sftpOpen.create | sftpOpen.truncate));
  if (size === null || size > smallBytes) return client.put(handle, 0, stream);
  const bytes = await readSmall(stream);
  if (bytes.length > 0) await client.writeBytes(handle, 0, bytes);
}

/** Null when nothing is. */
async function openThere(client: SftpClient, path: Buffer): Promise<Buffer | null> {
  try {
    return await client.open(path, sftpOpen.write | sftpOpen.truncate);
  } catch (error) {
    if (AppError.is(error, 'not-found')) return null;
    throw error;
  }
}

/** Null when something of that name is there. */
async function createFile(client: SftpClient, path: Buffer, { uid, gid, mode }: Pick<PushRequest, 'uid' | 'gid' | 'mode'>): Promise<Buffer | null> {
  let handle: Buffer;
  try {
    // Nobody else's until it has its owner, and not with a mode that the first owner's umask would have had a say in.
    handle = await client.open(path, sftpOpen.write | sftpOpen.create | sftpOpen.exclusive, mode & 0o700);
  } catch (error) {
    if (AppError.is(error, 'internal')) return null;
    throw error;
  }
  await client.fsetstat(handle, { owner: { uid, gid }, mode });
  return handle;
}

/** No longer than the client said: the server sees to that. */
async function readSmall(source: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    throw unavailable('The sender went away', { cause: error });
  }
  return Buffer.concat(chunks);
}

async function readTarget(source: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > linkBytesMax) throw invalid('The target of the link is too long');
    chunks.push(chunk);
  }
  // What symlink(2) says of an empty one.
  if (bytes === 0) throw notFound('Not Found');
  return Buffer.concat(chunks);
}

const unsizedBytesMax = 16 * 1024 * 1024;

async function readAll(client: SftpClient, handle: Buffer): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for (;;) {
    const chunk = await client.readBytes(handle, bytes, 256 * 1024);
    if (chunk.length === 0 || bytes > unsizedBytesMax) return Buffer.concat(chunks);
    chunks.push(chunk);
    bytes += chunk.length;
  }
}

function bytesResponse(bytes: Buffer, reading: Reading, attributes: FileAttributes): Promise<ApiResponse> {
  return fileResponse(reading, { ...attributes, size: bytes.length }, async (first, length) => bytes.subarray(first, first + length));
}

/** All of it, a piece, or the news that nothing changed: what a client may ask of a file. */
async function fileResponse({ path, headers }: Reading, attributes: FileAttributes, body: (first: number, length: number) => Promise<Readable | Buffer>): Promise<ApiResponse> {
  const { size, modifiedAt } = attributes;
  const described = { ...fileHeaders(attributes), 'Content-Disposition': `inline;filename=${dispositionName(path)}`, 'Last-Modified': new Date(modifiedAt * 1000).toUTCString() };
  const since = Date.parse(headers['if-modified-since'] ?? '');
  if (modifiedAt * 1000 <= since) return streamResponse('', { status: 304, headers: described });
  const range = headers['if-range'] === undefined ? byteRange(headers.range, size) : null;
  if (range === 'unsatisfiable') {
    return streamResponse('invalid range: failed to overlap\n', { status: 416, contentType: 'text/plain; charset=utf-8', headers: { ...described, 'Content-Range': `bytes */${size}` } });
  }
  const { first, last } = range ?? { first: 0, last: size - 1 };
  const piece: Record<string, string> = range === null ? {} : { 'Content-Range': `bytes ${first}-${last}/${size}` };
  const bytes = last - first + 1;
  return streamResponse(bytes === 0 ? Buffer.alloc(0) : await body(first, bytes), { size: bytes, status: range === null ? 200 : 206, headers: { ...described, ...piece, 'Accept-Ranges': 'bytes' } });
}
