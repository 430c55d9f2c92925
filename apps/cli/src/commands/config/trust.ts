import { readFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { basename, extname } from 'node:path';
import { invalid, messageOf, notFound, wrap } from '#kernel';
import type { Operation } from '#api-types';
import type { Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { isUnset, localMinute, longUtc } from '../../output/times.js';
import { url, type Server } from '../../server.js';
import { ConfigKind } from '../config-kind.js';

interface Certificate {
  readonly name: string;
  readonly type: string;
  readonly fingerprint: string;
  readonly certificate: string;
}

const kind = new ConfigKind({
  noun: 'Certificate', path: ([fingerprint]) => ['certificates', fingerprint!], shape: { name: '', type: '', restricted: false, projects: null, certificate: '' },
  explanation: 'A trusted certificate: its name, and the projects it is restricted to, as YAML.\nLines that begin with # are ignored; the fingerprint cannot be changed.',
});

export const show = kind.show;
export const edit = kind.edit;

export const add: Run = async (invocation) => {
  const { args, flags } = invocation;
  const named = args.length === 2 || (args[0]?.endsWith(':') ?? false);
  const server = named ? await invocation.serverOf(args[0]!) : await invocation.server();
  const file = named ? args[1] : args[0];
  const type = flags.text('type');
  if (!['client', 'metrics'].includes(type)) throw invalid(`Unknown certificate type "${type}"`);
  const projects = flags.text('projects') === '' ? null : flags.text('projects').split(',');
  const common = { type, restricted: flags.bool('restricted'), projects };
  if (file === undefined) {
    if (!server.has('certificate_token')) throw invalid('The server doesn\'t implement the required "certificate_token" API extension');
    const name = flags.text('name') || await invocation.terminal.ask('Please provide client name: ');
    const operation = await server.api.call<Operation>('POST', url(['certificates']), { body: { ...common, certificate: '', name, password: '', token: true } });
    if (!flags.bool('quiet')) invocation.print(`Client ${name} certificate add token:`);
    return invocation.print(tokenText(operation.metadata));
  }
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw invalid(`open ${file}: no such file or directory`);
  }
  const pem = /-----BEGIN CERTIFICATE-----([\s\S]*?)-----END CERTIFICATE-----/.exec(text)?.[1]?.replace(/\s/g, '');
  if (pem === undefined) throw invalid('Invalid certificate file');
  const name = flags.text('name') || basename(file, extname(file));
  await server.api.call('POST', url(['certificates']), { body: { ...common, certificate: pem, name, password: '', token: false } });
};

/** What a client shows once: as the server puts it into the operation, in base64. */
export function tokenText(operation: Operation): string {
  const meta = operation.metadata as { fingerprint: string; addresses: string[]; secret: string; request?: { name?: string }; expiresAt?: string };
  return Buffer.from(JSON.stringify({
    client_name: meta.request?.name ?? '', fingerprint: meta.fingerprint, addresses: meta.addresses, secret: meta.secret, expires_at: meta.expiresAt ?? '0001-01-01T00:00:00Z',
  })).toString('base64');
}

export const list: Run = async (invocation) => {
  const server = await invocation.serverOf(invocation.arg(0));
  const certificates = await server.get<Certificate[]>(url(['certificates'], { recursion: 1 }));
  const rows = certificates.map((one) => {
    const short = one.fingerprint.slice(0, 12);
    try {
      const x509 = new X509Certificate(one.certificate);
      const name = /^CN=(.*)$/m.exec(x509.subject)?.[1] ?? '';
      return [one.type, one.name, name, short, longUtc(x509.validFrom), longUtc(x509.validTo)];
    } catch (error) {
      throw wrap(error, `Invalid certificate "${short}"`);
    }
  });
  invocation.printList(['TYPE', 'NAME', 'COMMON NAME', 'FINGERPRINT', 'ISSUE DATE', 'EXPIRY DATE'], sortRows(rows), certificates);
};

async function tokens(server: Server): Promise<Operation[]> {
  const operations = await server.get<Record<string, Operation[]>>(url(['operations'], { recursion: 1 }));
  return Object.values(operations).flat().filter((one) => one.class === 'token' && one.status === 'Running' && one.metadata?.['request'] !== undefined);
}

export const listTokens: Run = async (invocation) => {
  const server = await invocation.serverOf(invocation.arg(0));
  const found = (await tokens(server)).map((one) => {
    const expires = one.metadata?.['expiresAt'];
    const at = typeof expires === 'string' && !isUnset(expires) ? localMinute(expires) : '';
    return { ClientName: String((one.metadata as { request?: { name?: string } }).request?.name ?? ''), Token: tokenText(one), ExpiresAt: at };
  });
  invocation.printList(['NAME', 'TOKEN', 'EXPIRES AT'], sortRows(found.map((one) => [one.ClientName, one.Token, one.ExpiresAt])), found.map(yamlNames(invocation.flags.text('format'))));
};

/** YAML has other names for the same fields. */
function yamlNames(format: string): (token: Record<string, string>) => Record<string, string> {
  return (token) => (format === 'yaml' ? Object.fromEntries(Object.entries(token).map(([key, value]) => [key.toLowerCase(), value])) : token);
}

export const remove: Run = async (invocation) => {
  const place = await invocation.place(invocation.arg(0));
  const { server, name } = invocation.args.length === 2 ? { server: place.server, name: invocation.arg(1) } : place;
  if (name === '') throw invalid('Missing certificate fingerprint');
  await server.api.call('DELETE', url(['certificates', name]));
};

export const revokeToken: Run = async (invocation) => {
  const { args } = invocation;
  const place = args.length === 2 ? { server: await invocation.serverOf(args[0]!), name: args[1]!, remote: invocation.parse(args[0]!).remote } : { ...await invocation.place(args[0]!), remote: invocation.parse(args[0]!).remote };
  const found = (await tokens(place.server)).find((one) => (one.metadata as { request?: { name?: string } }).request?.name === place.name);
  if (found === undefined) throw notFound(`No certificate add token for member ${place.name} on remote: ${place.remote}`);
  await place.server.api.call('DELETE', url(['operations', found.id])).catch((error: unknown) => { throw invalid(messageOf(error)); });
  if (!invocation.flags.bool('quiet')) invocation.print(`Certificate add token for ${place.name} deleted`);
};
