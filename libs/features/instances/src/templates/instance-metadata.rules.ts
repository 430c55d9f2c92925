import { z } from 'zod';
import { parse, stringify } from 'yaml';
import { internal, messageOf } from '#kernel';

/** When and how a file of an instance is made from one of its image's templates. */
export interface MetadataTemplate {
  readonly when: readonly string[];
  readonly create_only: boolean;
  /** Name below `templates/`. */
  readonly template: string;
  readonly properties: Readonly<Record<string, string>> | null;
}

/** `metadata.yaml` of an instance, as the API shows it. Maps that are not there are null. */
export interface InstanceMetadata {
  readonly architecture: string;
  readonly creation_date: number;
  readonly expiry_date: number;
  readonly properties: Readonly<Record<string, string>> | null;
  readonly templates: Readonly<Record<string, MetadataTemplate>> | null;
}

const text = z.string().nullish().transform((value) => value ?? '');
/** Of LXD's integers this is the wide one. */
const int64 = z.int().meta({ goType: 'int64' });
const seconds = int64.nullish().transform((value) => value ?? 0);
const texts = z.record(z.string(), z.string());

const templateBody = z.object({
  when: z.array(z.string()).nullish().transform((value) => value ?? []), create_only: z.boolean().nullish().transform((value) => value ?? false), template: text,
  properties: texts.nullish().transform((value) => value ?? {}),
}).meta({ title: 'ImageMetadataTemplate', pointer: true });

/** `PUT /1.0/instances/{name}/metadata`: what is not there is emptied. */
export const instanceMetadataPut = z.object({
  architecture: text, creation_date: seconds, expiry_date: seconds, properties: texts.nullish().transform((value) => value ?? {}),
  templates: z.record(z.string(), templateBody).nullish().transform((value) => value ?? {}),
}).meta({ id: 'ImageMetadata' });
export type InstanceMetadataPut = z.infer<typeof instanceMetadataPut>;

/** `PATCH`: what is not there stays. */
export const instanceMetadataPatch = z.object({
  architecture: z.string().nullish(), creation_date: int64.nullish(), expiry_date: int64.nullish(), properties: texts.nullish(), templates: z.record(z.string(), templateBody).nullish(),
}).meta({ title: 'ImageMetadata' });
export type InstanceMetadataPatch = z.infer<typeof instanceMetadataPatch>;

const nothing: InstanceMetadata = { architecture: '', creation_date: 0, expiry_date: 0, properties: null, templates: null };

/** @throws `internal` for a file that is no metadata. It may come from anybody: only what is expected is looked at. */
export function readMetadata(yaml: string): InstanceMetadata {
  if (yaml.trim() === '') return nothing;
  let value: unknown;
  try {
    value = parse(yaml, { maxAliasCount: 50 });
  } catch (error) {
    throw internal(`Could not parse metadata.yaml: ${messageOf(error)}`, { cause: error });
  }
  if (!isRecord(value)) throw internal('Could not parse metadata.yaml');
  return {
    architecture: asText(value['architecture']), creation_date: asSeconds(value['creation_date']), expiry_date: asSeconds(value['expiry_date']),
    properties: isRecord(value['properties']) ? asTexts(value['properties']) : null,
    templates: isRecord(value['templates']) ? Object.fromEntries(Object.entries(value['templates']).map(([path, template]) => [path, asTemplate(template)])) : null,
  };
}

/** As LXD writes it. */
export function writeMetadata(metadata: InstanceMetadata): string {
  return stringify(metadata, { indent: 2, indentSeq: false, lineWidth: 0 });
}

/** Maps are merged by their keys; a template is replaced as a whole. */
export function patchMetadata(before: InstanceMetadata, { architecture, creation_date, expiry_date, properties, templates }: InstanceMetadataPatch): InstanceMetadata {
  return {
    architecture: architecture ?? before.architecture, creation_date: creation_date ?? before.creation_date, expiry_date: expiry_date ?? before.expiry_date,
    properties: sorted({ ...before.properties, ...properties }), templates: sorted({ ...before.templates, ...templates }),
  };
}

/** Keys in order, as Go writes maps. */
export function sorted<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function asTemplate(value: unknown): MetadataTemplate {
  const template = isRecord(value) ? value : {};
  return {
    when: Array.isArray(template['when']) ? template['when'].map(asText) : [], create_only: template['create_only'] === true, template: asText(template['template']),
    properties: isRecord(template['properties']) ? asTexts(template['properties']) : null,
  };
}

function asTexts(value: Record<string, unknown>): Record<string, string> {
  return sorted(Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asText(item)])));
}

function asText(value: unknown): string {
  return value === null || value === undefined || typeof value === 'object' ? '' : String(value);
}

function asSeconds(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? Math.trunc(value) : 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
