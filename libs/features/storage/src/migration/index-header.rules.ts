import { z } from 'zod';
import { internal } from '#kernel';

const index = z.object({ config: z.object({ Volume: z.object({ config: z.record(z.string(), z.string()).nullish() }).nullish() }).nullish() });
const answer = z.object({ StatusCode: z.int(), Error: z.string().nullish(), Refresh: z.boolean().nullish() });

/** All that is known of a volume and what belongs to it, under LXD's names. */
export function writeIndex(index: Readonly<Record<string, unknown>>): Buffer {
  return Buffer.from(JSON.stringify({ config: index }));
}

/** Of `parts` by the names of `backup.yaml`: that of an instance, or of a custom volume. */
export function indexOf(parts: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const names = { Container: 'container', Snapshots: 'snapshots', Pool: 'pool', Profiles: 'profiles', Volume: 'volume', VolumeSnapshots: 'volume_snapshots' };
  return Object.fromEntries(Object.entries(names).map(([name, part]) => [name, parts[part] ?? null]));
}

/** @throws `internal` for a refusal, in its words. */
export function readIndexAnswer(text: string): void {
  const data = read(answer, text, 'the answer to the index of the migration');
  if (data.StatusCode !== 200 || data.Error) throw internal(data.Error || 'The other side refuses the index of the migration');
}

/** The volume's configuration, as an index has it; null where it does not tell. @throws `internal` for what is no index. */
export function volumeConfigIn(text: string): Record<string, string> | null {
  const data = read(index, text, 'the index of the migration');
  const volume = data.config?.Volume ?? null;
  return volume === null ? null : (volume.config ?? {});
}

export function writeIndexAnswer(refresh: boolean): Buffer {
  return Buffer.from(JSON.stringify({ StatusCode: 200, Error: '', Refresh: refresh }));
}

function read<Shape extends z.ZodType>(shape: Shape, text: string, what: string): z.output<Shape> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw internal(`Failed reading ${what}`, { cause: error });
  }
  const { success, data } = shape.safeParse(value);
  if (!success) throw internal(`Failed reading ${what}`);
  return data;
}
