import { z } from 'zod';
import { isCollection, isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import { invalid } from '#kernel';

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]).transform((value) => (value === null ? '' : String(value)));
/** YAML users write `size: 20` and `ipv4.nat: true` unquoted; on the wire both are texts. */
const configMap = z.record(z.string(), scalar).nullish().transform((value) => value ?? {});
const devicesMap = z.record(z.string(), configMap).nullish().transform((value) => value ?? {});
const text = scalar.optional().transform((value) => value ?? '');

const network = z.strictObject({ name: text, type: text, description: text, config: configMap, project: text });
const storagePool = z.strictObject({ name: text, driver: text, description: text, config: configMap });
const profile = z.strictObject({ name: text, description: text, config: configMap, devices: devicesMap });
const project = z.strictObject({ name: text, description: text, config: configMap });
/** Unquoted, `yes` and `True` are texts to a YAML 1.2 parser; LXD's takes them. */
const flag = z.union([z.boolean(), z.stringbool(), z.null()]).transform((value) => value === true).optional().transform((value) => value ?? false);
const memberConfigKey = z.strictObject({ entity: text, name: text, key: text, value: text, description: text });
const list = <T extends z.ZodType>(item: T) => z.array(item).nullish().transform((value) => value ?? []);

const cluster = z.strictObject({
  server_name: text, enabled: flag, member_config: list(memberConfigKey), cluster_address: text, cluster_certificate: text, server_address: text, cluster_password: text,
  cluster_certificate_path: text, cluster_token: text,
});
export type ClusterPreseed = z.infer<typeof cluster>;

/** The YAML of `init --preseed` and `init --dump` (LXD: doc/preseed-yaml). */
export const preseedSchema = z.strictObject({
  config: configMap,
  networks: list(network),
  storage_pools: list(storagePool),
  profiles: list(profile),
  projects: list(project),
  cluster: cluster.nullish(),
});

export type Preseed = z.infer<typeof preseedSchema>;

export const emptyPreseed = (): Preseed => ({ config: {}, networks: [], storage_pools: [], profiles: [], projects: [] });

/** LXD's names of the types, which its parser shows. */
const typeNames: Readonly<Record<string, string>> = {
  '': 'api.InitPreseed', networks: 'api.InitNetworksProjectPost', storage_pools: 'api.StoragePoolsPost', profiles: 'api.ProfilesPost', projects: 'api.ProjectsPost',
  cluster: 'api.InitClusterPreseed',
};

/** Throws `invalid` with `Failed to parse the preseed: ...`, the line and what is wrong with it. */
export function parsePreseed(yaml: string): Preseed {
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines });
  const broken = document.errors[0];
  if (broken) throw invalid(`Failed to parse the preseed: yaml: line ${broken.linePos?.[0].line ?? 1}: ${broken.message.split('\n')[0]}`, { cause: broken });
  const result = preseedSchema.safeParse(document.toJS() ?? {});
  if (result.success) return result.data;
  const issues = result.error.issues.flatMap((issue) => {
    const path = issue.path as (string | number)[];
    if (issue.code !== 'unrecognized_keys') return [`  line ${lineOf(document, path, lines)}: ${mismatch(document.getIn(path, true), path)}`];
    const type = typeNames[String(path[0] ?? '')] ?? 'map';
    return issue.keys.map((key) => `  line ${lineOf(document, [...path, key], lines)}: field ${key} not found in type ${type}`);
  });
  throw invalid(`Failed to parse the preseed: yaml: unmarshal errors:\n${issues.join('\n')}`);
}

/** The line of the value at `path`, or of the key that leads to it. */
function lineOf(document: Document, path: readonly (string | number)[], lines: LineCounter): number {
  const parent = path.length > 1 ? document.getIn(path.slice(0, -1), true) : document.contents;
  const pair = isMap(parent) ? parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === path.at(-1)) : undefined;
  const node = (pair?.key ?? document.getIn(path, true) ?? document.contents) as Node | undefined;
  return lines.linePos(node?.range?.[0] ?? 0).line;
}

function mismatch(node: unknown, path: readonly (string | number)[]): string {
  const found = isSeq(node) ? '!!seq' : isCollection(node) ? '!!map' : `!!${isScalar(node) && typeof node.value === 'number' ? 'int' : 'str'} \`${String(isScalar(node) ? node.value : node)}\``;
  const [first = '', second] = path;
  const type = typeNames[String(first)];
  const wanted = path.length === 0 ? typeNames['']! : path.length === 1 ? (type ? `[]${type}` : 'map[string]interface {}') : path.length === 2 && typeof second === 'number' ? (type ?? 'map') : 'map[string]string';
  return `cannot unmarshal ${found} into ${wanted}`;
}
