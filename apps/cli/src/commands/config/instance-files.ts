import { invalid } from '#kernel';
import { readText } from '#client';
import type { Invocation, Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url, type Server } from '../../server.js';
import { editText, editYaml } from '../../terminal/edit.js';

async function instanceOf(invocation: Invocation): Promise<{ server: Server; name: string }> {
  const place = await invocation.place(invocation.arg(0));
  if (place.name === '') throw invalid('Missing instance name');
  return place;
}

const metadataShape = ['architecture', 'creation_date', 'expiry_date', 'properties', 'templates'];

export const showMetadata: Run = async (invocation) => {
  const { server, name } = await instanceOf(invocation);
  invocation.printYaml(await server.get(url(['instances', name, 'metadata'])));
};

export const editMetadata: Run = async (invocation) => {
  const { server, name } = await instanceOf(invocation);
  const path = url(['instances', name, 'metadata']);
  let etag = '';
  await editYaml(invocation, {
    explanation: "The metadata of an instance: its image's properties and file templates, as YAML.\nLines that begin with # are ignored.",
    load: async () => {
      const found = await server.fetch(path);
      etag = found.etag;
      return found.value;
    },
    save: async (value) => {
      const given = (value ?? {}) as Record<string, unknown>;
      const body = Object.fromEntries(metadataShape.map((key) => [key, given[key] ?? (key.endsWith('date') ? 0 : key === 'architecture' ? '' : null)]));
      await server.api.call('PUT', path, { body, headers: etag === '' ? {} : { 'if-match': etag } });
    },
  });
};

const templateUrl = (instance: string, template = ''): string => url(['instances', instance, 'metadata', 'templates'], { path: template });

export const listTemplates: Run = async (invocation) => {
  const { server, name } = await instanceOf(invocation);
  const templates = await server.get<string[] | null>(templateUrl(name));
  invocation.printList(['FILENAME'], sortRows((templates ?? []).map((one) => [one])), templates ?? []);
};

export const showTemplate: Run = async (invocation) => {
  const { server, name } = await instanceOf(invocation);
  invocation.terminal.out(await readText(await server.api.download(templateUrl(name, invocation.arg(1)))));
};

async function write(server: Server, instance: string, template: string, content: Buffer): Promise<void> {
  await server.api.call('POST', templateUrl(instance, template), { body: content, headers: { 'content-type': 'application/octet-stream' } });
}

export const createTemplate: Run = async (invocation) => {
  const { server, name } = await instanceOf(invocation);
  await write(server, name, invocation.arg(1), Buffer.alloc(0));
};

export const deleteTemplate: Run = async (invocation) => {
  const { server, name } = await instanceOf(invocation);
  await server.api.call('DELETE', templateUrl(name, invocation.arg(1)));
};

export const editTemplate: Run = async (invocation) => {
  const { server, name } = await instanceOf(invocation);
  const template = invocation.arg(1);
  if (!invocation.terminal.inputIsTerminal) return write(server, name, template, await invocation.terminal.readAll());
  const before = Buffer.from(await readText(await server.api.download(templateUrl(name, template))));
  await write(server, name, template, await editText(before, ''));
};
