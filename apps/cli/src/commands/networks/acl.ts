import { invalid } from '#kernel';
import { readText } from '#client';
import type { Invocation, Run } from '../../invocation.js';
import { sortRows } from '../../output/render.js';
import { url } from '../../server.js';
import { parseYaml } from '../../terminal/edit.js';
import { ConfigKind } from '../config-kind.js';
import { pairs, readKeys } from '../keys.js';

type Rule = Record<string, string>;
interface Acl {
  readonly name: string;
  readonly description: string;
  readonly ingress: Rule[] | null;
  readonly egress: Rule[] | null;
  readonly config: Record<string, string> | null;
  readonly used_by: readonly string[] | null;
}

export const kind = new ConfigKind({
  noun: 'Network ACL', path: ([name]) => ['network-acls', name!], shape: { description: '', egress: null, ingress: null, config: null },
  explanation: 'A list of rules for traffic, as YAML.\nLines that begin with # are ignored; the name cannot be changed here.',
});

export const create: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing network ACL name');
  const given = invocation.terminal.inputIsTerminal ? null : (await parseYaml((await invocation.terminal.readAll()).toString('utf8'))) as Record<string, unknown> | null;
  const put = kind.writable(given);
  put['config'] = { ...(put['config'] as object | null), ...pairs(invocation.args.slice(1), 'Bad key=value pair') };
  await invocation.run(server, 'POST', url(['network-acls']), { name, ...put });
  if (!invocation.flags.bool('quiet')) invocation.print(`Network ACL ${name} created`);
};

export const list: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name !== '') throw invalid("Filtering isn't supported yet");
  const found = await server.get<Acl[]>(url(['network-acls'], { recursion: 1 }));
  const acls = found.map(({ name: called, description, egress, ingress, ...rest }) => ({ name: called, description, egress, ingress, ...rest }));
  invocation.printList(['NAME', 'DESCRIPTION', 'USED BY'], sortRows(acls.map((one) => [one.name, one.description, String(one.used_by?.length ?? 0)])), acls);
};

export const showLog: Run = async (invocation) => {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing network ACL name');
  invocation.terminal.out(await readText(await server.api.download(url(['network-acls', name, 'log']))));
};

const ruleKeys = ['action', 'source', 'destination', 'protocol', 'source_port', 'destination_port', 'icmp_type', 'icmp_code', 'description', 'state'];

const given = (invocation: Invocation): Promise<Rule> => readKeys(invocation, invocation.args.slice(2));

function assertRule(keys: Rule): void {
  for (const key of Object.keys(keys)) if (!ruleKeys.includes(key)) throw invalid(`Unknown key: ${key}`);
}

/** The list of rules named, and a way to store another for one direction. */
async function rulesOf(invocation: Invocation): Promise<{ rules: Rule[]; save: (rules: Rule[]) => Promise<void> }> {
  const { server, name } = await invocation.place(invocation.arg(0));
  if (name === '') throw invalid('Missing network ACL name');
  const direction = invocation.arg(1);
  const path = url(['network-acls', name]);
  const { value, etag } = await server.fetch<Acl>(path);
  if (direction !== 'ingress' && direction !== 'egress') throw invalid('The direction argument must be one of: ingress, egress');
  return {
    rules: value[direction] ?? [],
    save: async (rules) => { await invocation.run(server, 'PUT', path, { ...kind.writable(value as unknown as Record<string, unknown>), [direction]: rules }, '', { 'if-match': etag }); },
  };
}

export const addRule: Run = async (invocation) => {
  const rule = await given(invocation);
  const { rules, save } = await rulesOf(invocation);
  assertRule(rule);
  await save([...rules, { state: 'enabled', ...rule }]);
};

export const removeRule: Run = async (invocation) => {
  const wanted = await given(invocation);
  const { rules, save } = await rulesOf(invocation);
  assertRule(wanted);
  const kept = rules.filter((rule) => !Object.entries(wanted).every(([key, value]) => (rule[key] ?? '') === value));
  const gone = rules.length - kept.length;
  if (gone === 0) throw invalid('No matching rule(s) found');
  if (gone > 1 && !invocation.flags.bool('force')) throw invalid('Multiple rules match. Use --force to remove them all');
  await save(kept);
};
