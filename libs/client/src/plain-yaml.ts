type Plain = string | boolean | Record<string, unknown>;

/**
 * Reads the YAML this client writes: maps in maps, and texts on one line. Undefined for anything else, which takes a real parser: that one is ten
 * times as large as the rest that a command needs.
 */
export function parsePlainYaml(text: string): Record<string, unknown> | undefined {
  const root: Record<string, unknown> = {};
  const open: { indent: number; map: Record<string, unknown> }[] = [{ indent: -1, map: root }];
  let pending: { indent: number; owner: Record<string, unknown>; key: string } | undefined;
  for (const line of text.split('\n')) {
    if (/^\s*(#.*)?$/.test(line)) continue;
    const match = /^( *)([A-Za-z0-9_.][A-Za-z0-9_.-]*):(?: (\S.*))?$/.exec(line);
    if (match === null) return undefined;
    const indent = match[1]!.length;
    const key = match[2]!;
    if (pending !== undefined && indent > pending.indent) {
      const map = {};
      pending.owner[pending.key] = map;
      open.push({ indent: pending.indent, map });
    } else if (pending !== undefined) pending.owner[pending.key] = null;
    pending = undefined;
    while (open.length > 1 && indent <= open.at(-1)!.indent) open.pop();
    const { map } = open.at(-1)!;
    if (match[3] === undefined) pending = { indent, owner: map, key };
    else {
      const value = plainValue(match[3]);
      if (value === undefined) return undefined;
      map[key] = value;
    }
  }
  if (pending !== undefined) pending.owner[pending.key] = null;
  return root;
}

function plainValue(text: string): Plain | undefined {
  if (text === '{}') return {};
  if (text === 'true' || text === 'false') return text === 'true';
  if (/^"(?:[^"\\]|\\["\\])*"$/.test(text)) return text.slice(1, -1).replace(/\\(.)/g, '$1');
  return /^[A-Za-z/][^#]*$/.test(text) && !/: |:$|\s$/.test(text) && !/^(y|n|yes|no|on|off|null)$/i.test(text) ? text : undefined;
}
