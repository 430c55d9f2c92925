import { z } from 'zod';
import { parse, YAMLParseError } from 'yaml';
import { invalid, messageOf } from '#kernel';

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]).transform((value) => (value === null ? '' : String(value)));
/** YAML users write `size: 20` and `ipv4.nat: true` unquoted; on the wire both are texts. */
const configMap = z.record(z.string(), scalar).nullish().transform((value) => value ?? {});
const devicesMap = z.record(z.string(), configMap).nullish().transform((value) => value ?? {});
const text = scalar.optional().transform((value) => value ?? '');

const network = z.strictObject({ name: text, type: text, description: text, config: configMap, project: text });
const storagePool = z.strictObject({ name: text, driver: text, description: text, config: configMap });
const profile = z.strictObject({ name: text, description: text, config: configMap, devices: devicesMap });
const project = z.strictObject({ name: text, description: text, config: configMap });
const list = <T extends z.ZodType>(item: T) => z.array(item).nullish().transform((value) => value ?? []);

/** The YAML of `init --preseed` and `init --dump` (LXD: doc/preseed-yaml). `cluster` is refused until members can join. */
export const preseedSchema = z.strictObject({
  config: configMap,
  networks: list(network),
  storage_pools: list(storagePool),
  profiles: list(profile),
  projects: list(project),
  cluster: z.record(z.string(), z.unknown()).nullish(),
});

export type Preseed = z.infer<typeof preseedSchema>;

export const emptyPreseed = (): Preseed => ({ config: {}, networks: [], storage_pools: [], profiles: [], projects: [] });

/** Throws `invalid` with `Failed to parse the preseed: ...`, the field and what is wrong with it. */
export function parsePreseed(yaml: string): Preseed {
  let document: unknown;
  try {
    document = parse(yaml) ?? {};
  } catch (error) {
    const line = error instanceof YAMLParseError && error.linePos ? `line ${error.linePos[0].line}: ` : '';
    throw invalid(`Failed to parse the preseed: yaml: ${line}${messageOf(error).split('\n')[0]}`, { cause: error });
  }
  const result = preseedSchema.safeParse(document);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => {
    if (issue.code === 'unrecognized_keys') return `  field ${issue.keys.join(', ')} not found in ${issue.path.join('.') || 'the preseed'}`;
    return `  ${issue.path.join('.')}: ${issue.message}`;
  });
  throw invalid(`Failed to parse the preseed: yaml: unmarshal errors:\n${issues.join('\n')}`);
}
