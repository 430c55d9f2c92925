import { parse, stringify } from 'yaml';

export interface MetadataChange {
  readonly architecture: string;
  /** Unix times, seconds. */
  readonly now: number;
  /** 0 leaves it as it is. */
  readonly expiresAt: number;
  /** Null leaves them as they are. */
  readonly properties: Readonly<Record<string, string>> | null;
}

interface Metadata {
  readonly architecture: unknown;
  readonly creation_date: unknown;
  readonly expiry_date: unknown;
  readonly properties: unknown;
  readonly templates: unknown;
}

/** Creation date of a `metadata.yaml`, 0 where it says nothing. */
export function creationDate(text: string): number {
  const { creation_date: date } = read(text);
  return typeof date === 'number' ? Math.trunc(date) : 0;
}

/** `metadata.yaml` of an image made from an instance: the instance's own, with what the request says; one of its own where the instance has none. */
export function publishedMetadata(text: string, change: MetadataChange): string {
  if (text !== '' && change.expiresAt === 0 && change.properties === null) return text;
  const had = read(text);
  return stringify({
    architecture: had.architecture ?? change.architecture, creation_date: had.creation_date ?? change.now, expiry_date: change.expiresAt || (had.expiry_date ?? 0),
    properties: change.properties ?? had.properties ?? {}, templates: had.templates ?? {},
  });
}

/** Nothing is made of what somebody inside may have written but a plain map. */
function read(text: string): Partial<Metadata> {
  try {
    const value: unknown = parse(text, { maxAliasCount: 50 });
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Partial<Metadata>) : {};
  } catch {
    return {};
  }
}
