/** What reads as text without quotes in every YAML, the older kinds included, which take `yes` for a truth and `1_0` for a number. `10MiB` is a text to all. */
const plain = /^([A-Za-z/][A-Za-z0-9_./+@-]*|\d+([KMGTPE]i?)?B)$/;
const reserved = /^(y|n|yes|no|on|off|true|false|null|\.inf|\.nan)$/i;
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/**
 * Plain data as YAML, in the form LXD's own files have. Made here because descriptions of instances are written with each change of them, and a general
 * emitter takes a hundred times as long. Undefined values are left out.
 */
export function toYaml(value: unknown): string {
  return `${block(value, '').replace(/^\n/, '')}\n`;
}

function block(value: unknown, indent: string): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]';
    return value.map((item) => `\n${indent}- ${block(item, `${indent}  `).replace(/^\n\s*/, '')}`).join('');
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    if (entries.length === 0) return '{}';
    return entries.map(([key, item]) => `\n${indent}${scalar(key)}: ${nested(item, indent)}`).join('').replaceAll(': \n', ':\n');
  }
  return scalar(value);
}

/** Lists stand at the level of their key, as LXD writes them. */
function nested(value: unknown, indent: string): string {
  return block(value, Array.isArray(value) ? indent : `${indent}  `);
}

function scalar(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value ?? null);
  return (plain.test(value) && !reserved.test(value)) || time.test(value) ? value : JSON.stringify(value);
}
