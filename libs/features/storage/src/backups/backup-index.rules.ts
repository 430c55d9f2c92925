import { parse } from 'yaml';
import { z } from 'zod';
import { invalid } from '#kernel';

const text = z.string().nullish().transform((value) => value ?? '');
const flag = z.string().nullish().transform((value) => value === 'true');
const textMap = z.record(z.string(), z.string().nullish().transform((value) => value ?? '')).nullish().transform((value) => value ?? {});
const deviceMap = z.record(z.string(), textMap).nullish().transform((value) => value ?? {});
const list = <T extends z.ZodType>(of: T) => z.array(of).nullish().transform((value) => value ?? []);

const instance = z.object({
  architecture: text, config: textMap, devices: deviceMap, ephemeral: flag, profiles: list(z.string()), description: text, created_at: text, last_used_at: text,
  name: text, type: text, project: text, expanded_devices: deviceMap,
});
const snapshot = z.object({ name: text, config: textMap, devices: deviceMap, created_at: text, expires_at: text });
const volume = z.object({ config: textMap, description: text, name: text, content_type: text });
const volumeSnapshot = z.object({ name: text, config: textMap, description: text, content_type: text, created_at: text, expires_at: text });

/** What `backup.yaml` of a volume tells of its instance, and `index.yaml` of what it is of. */
const description = z.object({
  container: instance.nullish().transform((value) => value ?? null), snapshots: list(snapshot), pool: z.object({ name: text, driver: text, config: textMap, description: text }).nullish(),
  profiles: list(z.object({ name: text })), volume: volume.nullish(), volume_snapshots: list(volumeSnapshot),
});
export type DescribedInstance = z.infer<typeof description>;

const index = z.object({
  name: text, backend: text, pool: text, type: text, optimized: flag, snapshots: list(z.string()), config: description.nullish().transform((value) => value ?? null),
});
export type BackupIndex = z.infer<typeof index>;

/** `index.yaml` of somebody's backup. @throws `invalid`. */
export function readBackupIndex(content: string): BackupIndex {
  return read(index, content);
}

/** `backup.yaml` of a volume. @throws `invalid`. */
export function readDescription(content: string): DescribedInstance {
  return read(description, content);
}

/** Every scalar is taken as the text it is written as; aliases may not make more of it than was written. */
function read<T>(schema: z.ZodType<T>, content: string): T {
  let value: unknown;
  try {
    value = parse(content, { schema: 'failsafe', maxAliasCount: 50, uniqueKeys: true, logLevel: 'error' });
  } catch (error) {
    const { linePos, message } = error as { linePos?: { line: number }[]; message: string };
    throw invalid(`yaml: line ${linePos?.[0]?.line ?? 1}: ${message.split('\n')[0]!.split(' at line')[0]}`, { cause: error });
  }
  const result = schema.safeParse(typeof value === 'object' && value !== null ? withoutNull(value) : {});
  if (!result.success) throw invalid(`yaml: unmarshal errors: ${result.error.issues[0]?.path.join('.')}: ${result.error.issues[0]?.message}`);
  return result.data;
}

/** The failsafe schema knows no null: what is absent is an empty text, also where a list or a map could be. */
function withoutNull(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNull);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutNull(item)]).filter(([, item]) => item !== ''));
}
