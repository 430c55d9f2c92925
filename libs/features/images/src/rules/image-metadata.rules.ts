import { isMap, isScalar, LineCounter, parseDocument, type Scalar } from 'yaml';
import { invalid } from '#kernel';
import { architectureName } from './architectures.rules.js';
import { fromUnix } from './image-wire.rules.js';

/** What `metadata.yaml` says of an image. */
export interface ImageMetadata {
  /** The kernel's name, whichever name the file uses. */
  readonly architecture: string;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly properties: Readonly<Record<string, string>>;
}

/** Reads `metadata.yaml`; `invalid` in LXD's words for what cannot be used. */
export function parseImageMetadata(text: string): ImageMetadata {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const mistake = document.errors[0];
  if (mistake !== undefined) throw invalid(`yaml: line ${mistake.linePos?.[0].line ?? 1}: ${mistake.message.split(' at line')[0]}`);
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) throw invalid('EOF');
  if (!isMap(document.contents)) throw unmarshal(1, '!!seq', 'api.ImageMetadata');
  const lineOf = (node: unknown): number => lines.linePos((node as Scalar | undefined)?.range?.[0] ?? 0).line;
  const field = (name: string): unknown => (document.contents as { get(key: string, keep: true): unknown }).get(name, true);
  const seconds = (name: string): number => {
    const node = field(name);
    if (!isScalar(node) || node.value === null) return 0;
    if (typeof node.value !== 'number') throw unmarshal(lineOf(node), `!!str \`${String(node.value)}\``, 'int64');
    return Math.trunc(node.value);
  };
  const architecture = textOf(field('architecture'));
  const known = architectureName(architecture);
  const [created, expires] = [seconds('creation_date'), seconds('expiry_date')];
  const properties = textProperties(field('properties'), lineOf);
  if (known === undefined) throw invalid(`Architecture isn't supported: ${architecture}`);
  if (created === 0) throw invalid('Missing creation date');
  return { architecture: known, createdAt: fromUnix(created), expiresAt: fromUnix(expires), properties };
}

function textProperties(node: unknown, lineOf: (node: unknown) => number): Record<string, string> {
  if (node === undefined || node === null || (isScalar(node) && node.value === null)) return {};
  if (!isMap(node)) throw unmarshal(lineOf(node), isScalar(node) ? '!!str' : '!!seq', 'map[string]string');
  return Object.fromEntries(node.items.map(({ key, value }) => {
    if (value !== null && !isScalar(value)) throw unmarshal(lineOf(value), isMap(value) ? '!!map' : '!!seq', 'string');
    return [textOf(key), textOf(value)];
  }));
}

/** Numbers and the like as they are written: `1.50` stays `1.50`. */
function textOf(node: unknown): string {
  if (!isScalar(node) || node.value === null) return '';
  return typeof node.value === 'string' ? node.value : (node.source ?? String(node.value));
}

function unmarshal(line: number, what: string, into: string): Error {
  return invalid(`yaml: unmarshal errors:\n  line ${line}: cannot unmarshal ${what} into ${into}`);
}
