import { parse } from 'yaml';
import { invalid, messageOf } from '#kernel';
import { isKnownArchitecture } from './architectures.rules.js';
import { fromUnix } from './image-wire.rules.js';

/** What `metadata.yaml` says of an image. */
export interface ImageMetadata {
  readonly architecture: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly properties: Readonly<Record<string, string>>;
}

/** Reads `metadata.yaml`; `invalid` in LXD's words for what cannot be used. */
export function parseImageMetadata(text: string): ImageMetadata {
  let value: unknown;
  try {
    value = parse(text, { intAsBigInt: false });
  } catch (error) {
    throw invalid(`Could not parse metadata.yaml: ${messageOf(error)}`);
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalid('Could not parse metadata.yaml: not a mapping');
  const { architecture, creation_date: created, expiry_date: expiry, properties } = value as Record<string, unknown>;
  if (typeof architecture !== 'string' || !isKnownArchitecture(architecture)) throw invalid(`Architecture isn't supported: ${architecture ?? ''}`);
  if (typeof created !== 'number' || created === 0) throw invalid('Missing creation date');
  return { architecture, createdAt: fromUnix(created), expiresAt: fromUnix(typeof expiry === 'number' ? expiry : 0), properties: textProperties(properties) };
}

function textProperties(value: unknown): Record<string, string> {
  if (value === null || typeof value !== 'object') return {};
  const entries = Object.entries(value).filter(([, v]) => ['string', 'number', 'boolean'].includes(typeof v));
  return Object.fromEntries(entries.map(([k, v]) => [k, String(v)]));
}
