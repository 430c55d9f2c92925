import { createHash } from 'node:crypto';
import { createWriteStream, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Operation } from '#api-types';
import { HttpTransport } from '#client/http';
import { internal, invalid, notFound, unavailable, wrap } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import { url, type Server } from '../../server.js';
import { runInForeground } from '../../terminal/processes.js';
import { contentOf, lengthHeader, receiveFile, sendCounted } from '../../terminal/transfers.js';
import { addressesOf, imageServer, remoteCandidates, resolveImage, waitForCreation, type ImageView } from './image-source.js';
import { multipart, readMultipart } from './multipart.js';

export const importImage: Run = async (invocation) => {
  const { args, flags } = invocation;
  const properties: Record<string, string> = {};
  let remote = invocation.config.defaultRemote;
  const files: string[] = [];
  for (const word of args) {
    const equals = word.indexOf('=');
    if (word.endsWith(':') && !word.includes('/')) remote = invocation.parse(word).remote;
    else if (equals > 0 && !existsSync(word)) properties[word.slice(0, equals)] = word.slice(equals + 1);
    else files.push(word);
  }
  const [source = '', rootfs = ''] = files;
  const server = await invocation.server(remote);
  const aliases = flags.list('alias').map((name) => ({ name, description: '', type: '' }));
  const common = { auto_update: false, properties, public: flags.bool('public'), expires_at: '0001-01-01T00:00:00Z', profiles: null };
  let operation: Operation;
  if (/^https?:\/\//.test(source)) {
    if (source.startsWith('http://')) throw invalid('Only https:// is supported for remote image import');
    operation = await invocation.run(server, 'POST', url(['images']), { ...common, filename: '', source: { type: 'url', mode: 'pull', protocol: 'direct', url: source, alias: '', certificate: '', fingerprint: '', name: '' }, compression_algorithm: '', aliases: null }, 'Importing the image');
  } else {
    operation = await withTarball(source, async (meta) => upload(invocation, server, meta, rootfs, properties));
  }
  const fingerprint = String((operation.metadata as { fingerprint?: string } | null)?.fingerprint ?? '');
  invocation.print(`Image imported with fingerprint: ${fingerprint}`);
  await ensureAliases(server, aliases.map((one) => one.name), fingerprint);
};

/** An alias moves to the image when it is taken. */
export async function ensureAliases(server: Server, names: readonly string[], fingerprint: string): Promise<void> {
  for (const name of names) {
    const path = url(['images', 'aliases', name]);
    if (await server.get(path).then(() => true, () => false)) await server.api.call('DELETE', path);
    await server.api.call('POST', url(['images', 'aliases']), { body: { description: '', target: fingerprint, name, type: '' } });
  }
}

/** A directory is packed first. */
async function withTarball(source: string, action: (file: string) => Promise<Operation>): Promise<Operation> {
  if (!existsSync(source)) throw invalid(`open ${source}: no such file or directory`);
  if (!statSync(source).isDirectory()) return action(source);
  if (process.getuid?.() !== 0) throw invalid('Must run as root to import from directory');
  const directory = mkdtempSync(`${tmpdir()}/roost-image-`);
  try {
    const file = `${directory}/image.tar.xz`;
    const code = await runInForeground('tar', ['-C', source, '--numeric-owner', '--restrict', '--force-local', '--xattrs', '-cJf', file, 'rootfs', 'templates', 'metadata.yaml'].filter((word) => !['rootfs', 'templates', 'metadata.yaml'].includes(word) || existsSync(`${source}/${word}`)));
    if (code !== 0) throw internal(`tar ended with exit code ${code}`);
    return await action(file);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function upload(invocation: Invocation, server: Server, meta: string, rootfs: string, properties: Record<string, string>): Promise<Operation> {
  const headers: Record<string, string> = { 'x-lxd-public': invocation.flags.bool('public') ? 'true' : 'false' };
  const encoded = new URLSearchParams(properties).toString();
  if (encoded !== '') headers['x-lxd-properties'] = encoded;
  const { body, length, type } = rootfs === '' ? { ...contentOf(meta), type: 'application/octet-stream' } : multipart([['metadata', meta], [rootfs.endsWith('.img') || rootfs.endsWith('.qcow2') ? 'rootfs.img' : 'rootfs', rootfs]]);
  if (rootfs === '') headers['x-lxd-filename'] = meta.split('/').at(-1)!;
  const answer = await sendCounted(invocation, 'Transferring image', length, body, (stream) => server.api.call('POST', url(['images']), { body: stream, headers: { ...headers, 'content-type': type, ...lengthHeader(length) } }));
  return invocation.wait(server, answer, 'Transferring image');
}

export const exportImage: Run = async (invocation) => {
  const { remote, name } = invocation.parse(invocation.arg(0));
  const target = invocation.arg(1) === '' ? '.' : invocation.arg(1);
  if (invocation.config.remote(remote).protocol === 'simplestreams') return exportFromStream(invocation, remote, name, target);
  const server = await imageServer(invocation, remote);
  const fingerprint = (await server.get<ImageView>(url(['images', await resolveImage(server, name)]))).fingerprint;
  const answer = await server.download(url(['images', fingerprint, 'export']));
  const isDirectory = existsSync(target) && statSync(target).isDirectory();
  const partType = /^multipart\/form-data;\s*boundary="?([^";]+)"?/.exec(answer.headers['content-type'] ?? '')?.[1];
  const quiet = invocation.flags.bool('quiet');
  if (partType !== undefined) {
    let index = 0;
    await readMultipart(answer, partType, async (filename, content) => {
      const path = isDirectory ? `${target}/${safeName(filename)}` : index === 0 ? target : `${target}.root`;
      index++;
      await receiveFile(invocation, 'Exporting the image', undefined, content, path);
    });
  } else {
    const filename = /filename="?([^";]+)"?/.exec(answer.headers['content-disposition'] ?? '')?.[1] ?? fingerprint;
    const suffix = /(\.(tar(\.\w+)?|squashfs|img|qcow2))$/.exec(filename)?.[1] ?? '';
    const path = isDirectory ? `${target}/${safeName(filename)}` : target.endsWith(suffix) || suffix === '' ? target : `${target}${suffix}`;
    await receiveFile(invocation, 'Exporting the image', Number(answer.headers['content-length'] ?? 0), answer, path);
  }
  if (!quiet) invocation.print('Image exported successfully!');
};

/** A server does not choose where a file goes. */
function safeName(name: string): string { return name.replace(/^.*\//, '').replace(/^\.+/, '') || 'image'; }

/** The same bytes; fails at their end when they are not those that were promised. */
function verified(content: Readable, hash: string | undefined, url: string): Readable {
  if (hash === undefined) return content;
  const sum = createHash('sha256');
  const check = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sum.update(chunk);
      done(null, chunk);
    },
    flush(done) { done(sum.digest('hex') === hash ? null : unavailable(`The hash of "${url}" is not the one its server has announced`)); },
  });
  content.once('error', (error) => check.destroy(error));
  return content.pipe(check);
}

async function exportFromStream(invocation: Invocation, remote: string, name: string, target: string): Promise<void> {
  const { streamImages, chooseStreamImage } = await import('./streams.js');
  const image = chooseStreamImage(await streamImages(invocation, remote), name, invocation.flags.bool('vm') ? 'virtual-machine' : 'container');
  if (image === undefined) throw notFound("The requested image couldn't be found");
  const base = invocation.config.remote(remote).addr.replace(/\/+$/, '');
  const transport = new HttpTransport({ certificate: invocation.config.serverCertificate(remote), proxy: invocation.config.proxy });
  try {
    for (const [index, path] of image.paths.entries()) {
      if (path === '') continue;
      const answer = await transport.request({ method: 'GET', url: `${base}/${path}`, idleTimeoutMs: 30_000 });
      if (answer.statusCode !== 200) throw internal(`Failed to fetch ${base}/${path}: ${answer.statusCode} ${answer.statusMessage}`);
      const isDirectory = existsSync(target) && statSync(target).isDirectory();
      await receiveFile(invocation, 'Exporting the image', Number(answer.headers['content-length'] ?? 0), verified(answer, image.hashes[index], `${base}/${path}`), isDirectory ? `${target}/${safeName(path)}` : path === image.paths[0] ? target : `${target}.root`);
    }
  } finally {
    transport.close();
  }
  if (!invocation.flags.bool('quiet')) invocation.print('Image exported successfully!');
}

export const copy: Run = async (invocation) => {
  const { flags } = invocation;
  const source = invocation.parse(invocation.arg(0));
  const destination = invocation.parse(invocation.arg(1));
  if (destination.name !== '') throw invalid("Can't provide a name for the target image");
  const targetProject = flags.text('target-project');
  const server = await invocation.server(destination.remote);
  if (source.remote === destination.remote && targetProject === '') throw invalid("The source and target servers must be different");
  const body = { auto_update: flags.bool('auto-update'), public: flags.bool('public'), properties: null, expires_at: '0001-01-01T00:00:00Z', profiles: null, filename: '', compression_algorithm: '' };
  const path = url(['images'], { project: targetProject });
  const known = invocation.config.remote(source.remote);
  let operation: Operation;
  let aliases: readonly string[] = [];
  let fingerprint = source.name;
  if (known.protocol === 'simplestreams') {
    const wanted = { type: 'image', mode: 'pull', server: known.addr, protocol: 'simplestreams', alias: source.name, image_type: flags.bool('vm') ? 'virtual-machine' : 'container' };
    operation = await invocation.run(server, 'POST', path, { ...body, aliases: null, source: wanted }, 'Copying the image').catch((error: unknown) => { throw wrap(error, 'Failed remote image download'); });
    fingerprint = String((operation.metadata as { fingerprint?: string } | null)?.fingerprint ?? '');
  } else {
    const from = await imageServer(invocation, source.remote);
    const image = await from.get<ImageView>(url(['images', await resolveImage(from, source.name)]));
    fingerprint = image.fingerprint;
    if (flags.bool('copy-aliases')) aliases = (image.aliases ?? []).map((alias) => alias.name);
    const mode = flags.text('mode');
    if (mode === 'pull') await pullImage(invocation, from, server, source.remote, image, path, { ...body, properties: image.properties });
    else if (mode === 'push') await pushImage(invocation, from, server, destination.remote, image, targetProject);
    else if (mode === 'relay') await relayImage(invocation, from, server, image, path);
    else throw invalid(`Invalid transfer mode: ${mode}`);
  }
  await ensureAliases(server, [...aliases, ...flags.list('alias')], fingerprint);
  if (!flags.bool('quiet')) invocation.print('Image copied successfully!');
};

async function pullImage(invocation: Invocation, from: Server, to: Server, remote: string, image: ImageView, path: string, body: object): Promise<void> {
  const alias = invocation.flags.bool('auto-update') && !/^[0-9a-f]+$/.test(invocation.parse(invocation.arg(0)).name) ? invocation.parse(invocation.arg(0)).name : '';
  const candidates = (await remoteCandidates(invocation, from, remote, image)).map((one) => (alias === '' ? one : { ...one, alias, fingerprint: '' }));
  await waitForCreation(invocation, to, (source) => to.api.call('POST', path, { body: { ...body, aliases: null, source } }), { candidates, type: '' }, 'Copying the image');
}

/** The source sends it to the target, which has given out a secret for that. */
async function pushImage(invocation: Invocation, from: Server, to: Server, remote: string, image: ImageView, project: string): Promise<void> {
  const answer = await to.api.call<Operation>('POST', url(['images'], { project }), { body: { source: { type: 'image', mode: 'push', fingerprint: image.fingerprint } } });
  const secret = String((answer.metadata.metadata as { secret?: string } | null)?.secret ?? '');
  const target = addressesOf(invocation, to, remote)[0]!;
  const body = { target, secret, certificate: to.info.environment?.certificate ?? '', aliases: null, project };
  await invocation.run(from, 'POST', url(['images', image.fingerprint, 'export']), body, 'Copying the image');
}

/** Through this program, by way of a file. */
async function relayImage(invocation: Invocation, from: Server, to: Server, image: ImageView, path: string): Promise<void> {
  const directory = mkdtempSync(`${tmpdir()}/roost-relay-`);
  try {
    const answer = await from.download(url(['images', image.fingerprint, 'export']));
    const boundary = /^multipart\/form-data;\s*boundary="?([^";]+)"?/.exec(answer.headers['content-type'] ?? '')?.[1];
    const files: string[] = [];
    if (boundary === undefined) {
      await pipeline(answer, createWriteStream(`${directory}/image`));
      files.push(`${directory}/image`);
    } else {
      await readMultipart(answer, boundary, async (filename, content) => {
        files.push(`${directory}/${files.length}-${safeName(filename)}`);
        await pipeline(content, createWriteStream(files.at(-1)!));
      });
    }
    const { body, length, type } = files.length === 1 ? { ...contentOf(files[0]!), type: 'application/octet-stream' } : multipart([['metadata', files[0]!], [image.type === 'virtual-machine' ? 'rootfs.img' : 'rootfs', files[1]!]]);
    const headers = { 'content-type': type, ...lengthHeader(length), 'x-lxd-public': String(invocation.flags.bool('public')), 'x-lxd-filename': image.filename };
    const sent = await sendCounted(invocation, 'Copying the image', length, body, (stream) => to.api.call('POST', path, { body: stream, headers }));
    await invocation.wait(to, sent, 'Copying the image');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

