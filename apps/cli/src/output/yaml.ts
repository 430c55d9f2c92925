/**
 * Writes YAML byte for byte as LXD's client does, so that what scripts compare, store and grep stays the same: which texts are quoted and how, where
 * long lines break, how keys of maps are ordered. What the server sends are structures, in the order of their fields, and maps, sorted here.
 */
const mapKeys = new Set(['config', 'expanded_config', 'devices', 'expanded_devices', 'properties', 'metadata', 'resources', 'kernel_features', 'lxc_features', 'network', 'disk', 'templates']);
const deepMapKeys = new Set(['devices', 'expanded_devices']);
/** Fields that are null when there is nothing; others that the server leaves null are empty lists or maps. */
const pointerKeys = new Set(['state', 'bond', 'bridge', 'vlan', 'ovn', 'usage', 'infiniband', 'sriov', 'nvidia', 'drm', 'mdev', 'vpd', 'inherited_config']);

const bestWidth = 80;

export function toYaml(value: unknown): string {
  if (Array.isArray(value) && value.length > 0) return block(value, 0, '', false).replace(/^\n/, '');
  if (value !== null && typeof value === 'object' && Object.keys(value).length > 0) return block(value, 0, '', false).replace(/^\n/, '');
  return `${scalar(value, '', 0, 0)}\n`;
}

/** Everything after `key:`; a block begins with a line break, a scalar with a space. */
function node(value: unknown, indent: number, column: number, key: string, inMap: boolean): string {
  if (value !== null && typeof value === 'object' && (Array.isArray(value) ? value.length : Object.keys(value).length) > 0) {
    // Lists in a mapping are not indented.
    return block(value, Array.isArray(value) ? indent : indent + 2, key, inMap);
  }
  return ` ${scalar(value, inMap ? '' : key, indent, column + 1)}\n`;
}

function block(value: object, indent: number, key: string, inMap: boolean): string {
  const margin = ' '.repeat(indent);
  if (Array.isArray(value)) {
    return `\n${value.map((item) => {
      if (item !== null && typeof item === 'object' && (Array.isArray(item) ? item.length : Object.keys(item as object).length) > 0) {
        return `${margin}- ${block(item as object, indent + 2, key, inMap).replace(/^\n\s*/, '')}`;
      }
      return `${margin}- ${scalar(item, key, indent, indent + 2)}\n`;
    }).join('')}`;
  }
  const isMap = mapKeys.has(key) || (inMap && deepMapKeys.has(key));
  const entries = Object.entries(value);
  if (isMap) entries.sort(([a], [b]) => naturalOrder(a, b));
  return `\n${entries.map(([name, item]) => {
    const head = `${margin}${scalar(name, 'key', indent, indent, true)}:`;
    const below = isMap ? (deepMapKeys.has(key) && !inMap ? key : '') : name;
    return `${head}${node(item, indent, head.length, below, isMap)}`;
  }).join('')}`;
}

function scalar(value: unknown, key: string, indent: number, column: number, isKey = false): string {
  if (value === null || value === undefined) return pointerKeys.has(key) ? 'null' : mapKeys.has(key) ? '{}' : '[]';
  if (typeof value === 'number') return numberText(value);
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'object') return Array.isArray(value) ? '[]' : '{}';
  const text = String(value);
  if (key.endsWith('_at') && /^\d{4}-\d\d-\d\dT/.test(text)) return text;
  return textScalar(text, indent, column, isKey);
}

function numberText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return String(value);
  return String(value).replace(/e([+-])(\d)$/, 'e$10$2');
}

function textScalar(text: string, indent: number, column: number, isKey: boolean): string {
  const can = analyse(text);
  if (text.includes('\n') && !isKey && can.block) return literal(text, indent);
  const wanted = text.includes('\n') ? 'double' : looksLikeAnother(text) ? 'double' : can.plain ? 'plain' : can.single ? 'single' : 'double';
  if (wanted === 'plain') return isKey ? text : fold(text, indent, column);
  if (wanted === 'single') return `'${isKey ? text.replaceAll("'", "''") : fold(text.replaceAll("'", "''"), indent, column + 1, true)}'`;
  return doubleQuoted(text, indent, column, isKey);
}

/** A text that, unquoted, would be read as a number, a truth, a time or nothing. */
function looksLikeAnother(text: string): boolean {
  if (text === '' || /^(~|null|Null|NULL|<<|y|Y|yes|Yes|YES|on|On|ON|true|True|TRUE|n|N|no|No|NO|off|Off|OFF|false|False|FALSE|\.nan|\.NaN|\.NAN|[+-]?\.(inf|Inf|INF))$/.test(text)) return true;
  if (!/^[-+.0-9]/.test(text)) return false;
  const digits = text.replaceAll('_', '');
  if (/^[-+]?(0|[1-9]\d*|0[0-7]+|0o[0-7]+|0x[0-9a-fA-F]+|0b[01]+)$/.test(digits)) return true;
  if (/^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/.test(digits)) return true;
  if (/^[-+]?\d[\d_]*(:[0-5]?\d)+(\.[\d_]*)?$/.test(text)) return true;
  return /^\d{4}-\d{1,2}-\d{1,2}([Tt ]\d{1,2}:\d{1,2}:\d{1,2}(\.\d+)? ?(Z|[-+]\d{1,2}(:\d\d)?)?)?$/.test(text);
}

interface Allowed { readonly plain: boolean; readonly single: boolean; readonly block: boolean }

function analyse(text: string): Allowed {
  const special = /[^\n\x20-\x7e\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd]/.test(text);
  if (special || / \n/.test(text)) return { plain: false, single: false, block: false };
  const leads = /^[ \n]/.test(text);
  const trails = /[ \n]$/.test(text);
  const indicators = /^(---|\.\.\.)/.test(text) || /^[#,[\]{}&*!|>'"%@`]/.test(text) || /^[?:-](\s|$)/.test(text) || /:(\s|$)/.test(text) || /\s#/.test(text);
  return { plain: !leads && !trails && !indicators && !text.includes('\n'), single: !/\n /.test(text), block: !text.endsWith(' ') && !special };
}

/** Breaks at the first single space past the width, as often as there is one. Where nothing is quoted, the ends have no spaces. */
function fold(text: string, indent: number, column: number, quoted = false): string {
  let out = '';
  let at = column;
  for (let index = 0; index < text.length; index++) {
    const letter = text[index]!;
    const inside = !quoted || (index > 0 && index < text.length - 1);
    if (letter === ' ' && at > bestWidth && inside && text[index - 1] !== ' ' && text[index + 1] !== ' ') {
      out += `\n${' '.repeat(indent + 2)}`;
      at = indent + 2;
    } else {
      out += letter;
      at++;
    }
  }
  return out;
}

function literal(text: string, indent: number): string {
  const chomp = !text.endsWith('\n') ? '-' : /(^|\n)\n$/.test(text) ? '+' : '';
  const hint = /^[ \n]/.test(text) ? '2' : '';
  const body = text.endsWith('\n') ? text.slice(0, -1) : text;
  return `|${hint}${chomp}\n${body.split('\n').map((line) => (line === '' ? '' : ' '.repeat(indent + 2) + line)).join('\n')}`;
}

const escapes: Readonly<Record<string, string>> = { '\0': '\\0', '\x07': '\\a', '\b': '\\b', '\t': '\\t', '\n': '\\n', '\v': '\\v', '\f': '\\f', '\r': '\\r', '\x1b': '\\e', '"': '\\"', '\\': '\\\\', '\x85': '\\N' };

function doubleQuoted(text: string, indent: number, column: number, isKey: boolean): string {
  let out = '"';
  let at = column + 1;
  const letters = [...text];
  letters.forEach((letter, index) => {
    if (letter === ' ' && !isKey && at > bestWidth && index > 0 && index < letters.length - 1) {
      out += `\n${' '.repeat(indent + 2)}${letters[index + 1] === ' ' ? '\\' : ''}`;
      at = indent + 2;
      return;
    }
    const code = letter.codePointAt(0)!;
    const plain = code >= 0x20 && code !== 0x7f && !(code >= 0x80 && code < 0xa0) && code <= 0xffff && code !== 0xfeff;
    const shown = escapes[letter] ?? (plain ? letter : code <= 0xff ? `\\x${hex(code, 2)}` : code <= 0xffff ? `\\u${hex(code, 4)}` : `\\U${hex(code, 8)}`);
    out += shown;
    at += shown.length;
  });
  return `${out}"`;
}

const hex = (code: number, width: number): string => code.toString(16).toUpperCase().padStart(width, '0');

/** Letters after everything else, digits by their number: `eth2` before `eth10`. */
export function naturalOrder(a: string, b: string): number {
  const left = [...a];
  const right = [...b];
  for (let i = 0; i < left.length && i < right.length; i++) {
    const [l, r] = [left[i]!, right[i]!];
    if (l === r) continue;
    const [letterL, letterR] = [/\p{L}/u.test(l), /\p{L}/u.test(r)];
    if (letterL && letterR) return l < r ? -1 : 1;
    if (letterL || letterR) return letterR ? -1 : 1;
    const numberAt = (letters: readonly string[]): string => /^\d*/.exec(letters.slice(i).join(''))![0];
    const [nl, nr] = [numberAt(left), numberAt(right)];
    if (Number(nl) !== Number(nr)) return Number(nl) - Number(nr);
    if (nl.length !== nr.length) return nl.length - nr.length;
    return l < r ? -1 : 1;
  }
  return left.length - right.length;
}
