import type { NetworkAclPut, NetworkAclRule } from '#api-types';
import { parseCidr, parseIp, type Family } from '#config-schema';
import { invalid, isTrue } from '#kernel';
import type { AclRule } from '#ports';
import type { Config } from './network-config.rules.js';

type AclDirection = 'ingress' | 'egress';
type SentRule = NonNullable<NetworkAclPut['ingress']>[number];

/** What an access list says. */
export interface AclRules {
  readonly ingress: readonly NetworkAclRule[];
  readonly egress: readonly NetworkAclRule[];
}

const listKeys = ['source', 'destination', 'source_port', 'destination_port'] as const;
const ruleKeys = ['action', 'source', 'destination', 'protocol', 'source_port', 'destination_port', 'icmp_type', 'icmp_code', 'description', 'state'] as const;
const actions = ['allow', 'drop', 'reject'];
const states = ['enabled', 'disabled', 'logged'];
const protocols = ['icmp4', 'icmp6', 'tcp', 'udp'];

/** Without blanks and without what is empty. */
export function normaliseRule(rule: SentRule): NetworkAclRule {
  const known = ruleKeys.map((key) => [key, trimmed(key, rule[key] ?? '')] as const).filter(([key, value]) => value !== '' || key === 'action' || key === 'state');
  return Object.fromEntries(known) as unknown as NetworkAclRule;
}

function trimmed(key: string, value: string): string {
  return (listKeys as readonly string[]).includes(key) ? value.split(',').map((item) => item.trim()).join(',') : value.trim();
}

/** A name cannot be taken for an address, nor for what is not a list. */
export function validateAclName(name: string): void {
  if (name === '') throw invalid('Name is required');
  const reserved = ['@', '#'].find((character) => name.startsWith(character));
  if (reserved !== undefined) throw invalid(`Name cannot start with reserved character '${reserved}'`);
  if (name.length > 63) throw invalid('Name must be 1-63 characters long');
  if (/^\d/.test(name)) throw invalid('Name must not start with a number');
  if (name.startsWith('-')) throw invalid('Name must not start with "-" character');
  if (name.endsWith('-')) throw invalid('Name must not end with "-" character');
  if (!/^[a-zA-Z0-9-]+$/.test(name)) throw invalid('Name can only contain alphanumeric and hyphen characters');
}

/** `names`: of all lists of the project, which rules may name. `invalid` in LXD's words. */
export function validateAcl(config: Config, rules: AclRules, names: readonly string[]): void {
  const unknown = Object.keys(config).find((key) => !key.startsWith('user.'));
  if (unknown !== undefined) throw invalid(`Invalid config option "${unknown}"`);
  for (const direction of ['ingress', 'egress'] as const) {
    const texts = rules[direction].map((rule) => JSON.stringify(ruleKeys.map((key) => rule[key] ?? '')));
    rules[direction].forEach((rule, index) => {
      try {
        validateRule(direction, rule, names);
      } catch (error) {
        throw invalid(`Invalid ${direction} rule ${index}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
      const first = texts.indexOf(texts[index]!);
      if (first < index) throw invalid(`Duplicate of ${direction} rule ${first}`);
    });
  }
}

interface Kinds {
  readonly names: boolean;
  readonly 4: boolean;
  readonly 6: boolean;
}

function validateRule(direction: AclDirection, rule: NetworkAclRule, names: readonly string[]): void {
  if (!actions.includes(rule.action)) throw invalid(`Action must be one of: ${actions.join(', ')}`);
  if (!states.includes(rule.state)) throw invalid(`State must be one of: ${states.join(', ')}`);
  const source = subjectKinds('Source', rule.source, direction, names);
  const destination = subjectKinds('Destination', rule.destination, direction, names);
  if (rule.source !== undefined && rule.destination !== undefined) {
    const conflicting = ([4, 6] as const).some((family) => (source[family] && !destination[family] && !destination.names) || (destination[family] && !source[family] && !source.names));
    if (conflicting) throw invalid('Conflicting IP family types used for Source and Destination');
  }
  const { protocol = '' } = rule;
  if (protocol !== '' && !protocols.includes(protocol)) throw invalid(`Protocol must be one of: ${protocols.join(', ')}`);
  if (protocol === 'tcp' || protocol === 'udp') {
    if (rule.icmp_type !== undefined) throw invalid('ICMP type cannot be used with non-ICMP protocol');
    if (rule.icmp_code !== undefined) throw invalid('ICMP code cannot be used with non-ICMP protocol');
    checkPorts('Source', rule.source_port);
    checkPorts('Destination', rule.destination_port);
  } else if (protocol === '') {
    for (const [key, what] of [['icmp_type', 'ICMP type'], ['icmp_code', 'ICMP code'], ['source_port', 'Source port'], ['destination_port', 'Destination port']] as const) {
      if (rule[key] !== undefined) throw invalid(`${what} cannot be used without specifying protocol`);
    }
  } else {
    validateIcmp(rule, protocol, source, destination);
  }
}

function validateIcmp(rule: NetworkAclRule, protocol: string, source: Kinds, destination: Kinds): void {
  if (rule.source_port !== undefined) throw invalid(`Source port cannot be used with "${protocol}" protocol`);
  if (rule.destination_port !== undefined) throw invalid(`Destination port cannot be used with "${protocol}" protocol`);
  const other: Family = protocol === 'icmp4' ? 6 : 4;
  if (source[other]) throw invalid(`Cannot use IPv${other} source addresses with "${protocol}" protocol`);
  if (destination[other]) throw invalid(`Cannot use IPv${other} destination addresses with "${protocol}" protocol`);
  for (const [key, what] of [['icmp_type', 'type'], ['icmp_code', 'code']] as const) {
    const value = rule[key];
    if (value !== undefined && (!/^\d{1,3}$/.test(value) || Number(value) > 255)) throw invalid(`Invalid ICMP ${what}: Invalid value for an integer "${value}". Must be between 0 and 255`);
  }
}

function subjectKinds(field: 'Source' | 'Destination', list: string | undefined, direction: AclDirection, names: readonly string[]): Kinds {
  const kinds = { names: false, 4: false, 6: false };
  for (const subject of list?.split(',') ?? []) {
    const family = familyOf(subject);
    if (family !== null) {
      kinds[family] = true;
      continue;
    }
    if (!subject.startsWith('@') && !names.includes(subject)) throw invalid(`Invalid ${field}: Invalid subject "${subject}"`);
    if ((field === 'Source') !== (direction === 'ingress')) throw invalid(`Invalid ${field}: Named subjects not allowed in "${field}" for "${direction}" rules`);
    kinds.names = true;
  }
  return kinds;
}

/** Of an address, a CIDR or a range; null for a name. */
function familyOf(subject: string): Family | null {
  const single = parseIp(subject) ?? parseCidr(subject);
  if (single !== null) return single.family;
  const [first = '', last = '', ...more] = subject.split('-');
  const [from, to] = [parseIp(first), parseIp(last)];
  return from !== null && to !== null && more.length === 0 && from.family === to.family && from.value <= to.value ? from.family : null;
}

function checkPorts(which: 'Source' | 'Destination', list: string | undefined): void {
  for (const range of list?.split(',') ?? []) {
    const [first = '', ...rest] = range.split('-');
    if (!isPort(first)) throw invalid(`Invalid ${which} port: Invalid port number "${first}"`);
    if (rest.length === 0) continue;
    if (rest.length > 1 || !isPort(rest[0]!)) throw invalid(`Invalid ${which} port: Invalid end port number "${range}"`);
    if (Number(first) >= Number(rest[0])) throw invalid(`Invalid ${which} port: Start port ${first} must be lower than end port ${rest[0]}`);
  }
}

function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65535;
}

/** Whether a rule of a list names another one as where something comes from or goes to. */
export function namesAcl({ ingress, egress }: AclRules, name: string): boolean {
  return [...ingress, ...egress].some(({ source, destination }) => [source, destination].some((list) => list?.split(',').includes(name) === true));
}

/** Names in a network's `security.acls`. */
export function aclNames(config: Config): string[] {
  return (config['security.acls'] ?? '').split(',').map((name) => name.trim()).filter((name) => name !== '');
}

/**
 * Rules of a network's lists for its host: `drop` before `reject` before `allow`, whatever list they stand in, then what happens to everything else.
 * `invalid` in LXD's words for a rule a bridge cannot have.
 */
export function compileAcls(network: { readonly name: string; readonly config: Config }, lists: readonly AclRules[]): AclRule[] {
  const { name, config } = network;
  const rules = lists.flatMap((list) => (['ingress', 'egress'] as const).flatMap((direction) => list[direction].flatMap((rule, index) => (
    rule.state === 'disabled' ? [] : [compileRule(direction, rule, rule.state === 'logged' ? `${name}-${direction}-${index}` : '')]))));
  const defaults = (['egress', 'ingress'] as const).map((direction) => compileRule(direction, {
    action: config[`security.acls.default.${direction}.action`] || 'reject', state: 'enabled',
  }, isTrue(config[`security.acls.default.${direction}.logged`]) ? `${name}-${direction}` : ''));
  return [...['drop', 'reject', 'allow'].flatMap((action) => rules.filter((rule) => rule.action === action)), ...defaults];
}

function compileRule(direction: AclDirection, rule: NetworkAclRule, logPrefix: string): AclRule {
  const subjects = (list: string | undefined): string[] => {
    const all = list?.split(',') ?? [];
    const named = all.find((subject) => familyOf(subject) === null);
    if (named !== undefined) throw invalid(`Unsupported nftables subject "${named}"`);
    return all;
  };
  return {
    direction, action: rule.action, protocol: rule.protocol ?? '', logPrefix, source: subjects(rule.source), destination: subjects(rule.destination),
    sourcePorts: rule.source_port?.split(',') ?? [], destinationPorts: rule.destination_port?.split(',') ?? [], icmpType: rule.icmp_type ?? '', icmpCode: rule.icmp_code ?? '',
  };
}
