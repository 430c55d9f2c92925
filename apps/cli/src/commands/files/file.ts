import { existsSync, lstatSync, mkdirSync, readdirSync, readlinkSync, statSync, symlinkSync, chmodSync, rmSync } from 'node:fs';
import { basename, dirname, join, posix } from 'node:path';
import { readText } from '#client';
import { invalid } from '#kernel';
import type { Invocation, Run } from '../../invocation.js';
import type { Server } from '../../server.js';
import { editText } from '../../terminal/edit.js';
import { contentOf, lengthHeader, receiveFile, sendCounted } from '../../terminal/transfers.js';
import { deleteFile, entriesOf, getFile, instancePath, makeDirectories, putFile, type FileAttributes, type InstancePath, type RemoteFile } from './instance-path.js';

export const remove: Run = async (invocation) => {
  for (const text of invocation.args) {
    const place = await instancePath(invocation, text);
    if (place === undefined) throw invalid(`Invalid path ${text}`);
    await deleteFile(place.server, place.instance, place.path);
  }
};

export const edit: Run = async (invocation) => {
  const text = invocation.arg(0);
  const place = await instancePath(invocation, text);
  if (place === undefined) throw invalid(`Invalid target ${text}`);
  const { server, instance, path } = place;
  if (!invocation.terminal.inputIsTerminal) {
    const content = await invocation.terminal.readAll();
    return putFile(server, instance, path, { type: 'file' }, { body: content });
  }
  const before = await getFile(server, instance, path);
  const edited = await editText(Buffer.from(await readText(before.answer)), '');
  await putFile(server, instance, path, { type: 'file', mode: before.mode, uid: before.uid, gid: before.gid }, { body: edited });
};

export const pull: Run = async (invocation) => {
  const { args, flags } = invocation;
  const target = args.at(-1)!;
  const sources = args.slice(0, -1);
  const places: InstancePath[] = [];
  for (const text of sources) {
    const place = await instancePath(invocation, text);
    if (place === undefined) throw invalid(`Invalid source ${text}`);
    places.push(place);
  }
  let isDirectory = existsSync(target) && statSync(target).isDirectory();
  if (!isDirectory && target !== '-' && (target.endsWith('/') || places.length > 1)) {
    mkdirSync(target, { recursive: true });
    isDirectory = true;
  } else if (flags.bool('create-dirs') && target !== '-') mkdirSync(isDirectory ? target : dirname(target), { recursive: true });
  for (const place of places) {
    const file = await getFile(place.server, place.instance, place.path);
    if (file.type === 'directory') {
      if (!flags.bool('recursive')) {
        file.answer.resume();
        throw invalid("Can't pull a directory without --recursive");
      }
      await pullTree(invocation, place.server, place.instance, place.path, file, isDirectory ? join(target, basename(place.path)) : target);
      continue;
    }
    await writeLocal(invocation, file, place.path, isDirectory ? join(target, basename(place.path)) : target);
  }
};

async function pullTree(invocation: Invocation, server: Server, instance: string, path: string, file: RemoteFile, target: string): Promise<void> {
  mkdirSync(target, { recursive: true, mode: file.mode | 0o700 });
  for (const name of await entriesOf(file)) {
    // A name is one in this directory, whatever the server says.
    if (name === '' || name === '.' || name === '..' || name.includes('/')) throw invalid(`Invalid file name "${name}"`);
    const below = await getFile(server, instance, posix.join(path, name));
    if (below.type === 'directory') await pullTree(invocation, server, instance, posix.join(path, name), below, join(target, name));
    else await writeLocal(invocation, below, posix.join(path, name), join(target, name));
  }
  chmodSync(target, file.mode);
}

async function writeLocal(invocation: Invocation, file: RemoteFile, path: string, target: string): Promise<void> {
  if (file.type === 'symlink') {
    const link = (await readText(file.answer)).trimEnd();
    if (target === '-') return invocation.terminal.out(link);
    rmSync(target, { force: true });
    return symlinkSync(link, target);
  }
  await receiveFile(invocation, `Pulling ${path}`, file.size, file.answer, target, file.mode);
}

export const push: Run = async (invocation) => {
  const { args, flags } = invocation;
  const targetText = args.at(-1)!;
  const sources = args.slice(0, -1);
  const place = await instancePath(invocation, targetText);
  if (place === undefined) throw invalid(`Invalid target ${targetText}`);
  const mode = flags.text('mode');
  if (mode !== '' && !/^(0o?)?[0-7]+$/.test(mode)) throw invalid(`strconv.ParseInt: parsing ${JSON.stringify(mode)}: invalid syntax`);
  const owner = { ...(flags.int('uid') < 0 ? {} : { uid: flags.int('uid') }), ...(flags.int('gid') < 0 ? {} : { gid: flags.int('gid') }) };
  if (flags.bool('recursive')) {
    if (mode !== '' || flags.int('uid') >= 0 || flags.int('gid') >= 0) throw invalid("Can't supply uid/gid/mode in recursive mode");
    if (flags.bool('create-dirs')) await makeDirectories(place.server, place.instance, place.path, 0o755, {});
    for (const source of sources) await pushTree(invocation, place, source, posix.join(place.path, basename(source.replace(/\/+$/, ''))));
    return;
  }
  if (sources.length > 1 && !place.directory) throw invalid('Missing target directory');
  for (const source of sources) {
    if (source !== '-' && !existsSync(source)) throw invalid(`open ${source}: no such file or directory`);
  }
  for (const source of sources) {
    const path = place.directory ? posix.join(place.path, basename(source)) : place.path;
    if (flags.bool('create-dirs')) await makeDirectories(place.server, place.instance, posix.dirname(path), 0o755, owner);
    await pushFile(invocation, place, source, path, { type: 'file', ...(mode === '' ? {} : { mode: parseInt(mode.replace(/^0o/, ''), 8) }), ...owner });
  }
};

async function pushFile(invocation: Invocation, { server, instance }: InstancePath, source: string, path: string, attributes: FileAttributes): Promise<void> {
  if (source === '-') return putFile(server, instance, path, { mode: 0o644, uid: 0, gid: 0, ...attributes }, { body: await invocation.terminal.readAll() });
  const stat = statSync(source);
  const given = { mode: stat.mode & 0o777, uid: stat.uid, gid: stat.gid, ...attributes };
  if (stat.isDirectory()) throw invalid(`Post "${path}": read ${source}: is a directory`);
  const { body: content, length } = contentOf(source);
  await sendCounted(invocation, `Pushing ${source} to ${path}`, length, content, (body) => putFile(server, instance, path, given, { body, headers: lengthHeader(length) }));
}

async function pushTree(invocation: Invocation, place: InstancePath, source: string, path: string): Promise<void> {
  if (!existsSync(source)) throw invalid(`lstat ${source}: no such file or directory`);
  const stat = lstatSync(source);
  const attributes = { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid };
  if (stat.isSymbolicLink()) return putFile(place.server, place.instance, path, { type: 'symlink', ...attributes }, { body: Buffer.from(readlinkSync(source)) });
  if (stat.isFile()) return pushFile(invocation, place, source, path, { type: 'file', ...attributes });
  if (!stat.isDirectory()) throw invalid(`'${source}' isn't a supported file type`);
  await putFile(place.server, place.instance, path, { type: 'directory', ...attributes });
  for (const name of readdirSync(source)) await pushTree(invocation, place, join(source, name), posix.join(path, name));
}

