import { invalid } from '#kernel';

/** The part of a zod schema this file walks; zod's own types do not name its inner structure in a stable way. */
interface SchemaNode {
  readonly _zod?: { readonly def: SchemaDefinition };
  readonly meta?: () => Readonly<Record<string, unknown>> | undefined;
}

interface SchemaDefinition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, SchemaNode>>;
  readonly valueType?: SchemaNode;
  readonly element?: SchemaNode;
  readonly innerType?: SchemaNode;
  readonly in?: SchemaNode;
  readonly checks?: readonly { readonly _zod?: { readonly def?: { readonly format?: string } } }[];
  readonly format?: string;
}

/**
 * Reads a value by a schema the way LXD's decoder fills its structures: null leaves a field unset (or a map's entry empty), and a
 * value of another type is refused (`invalid`, 400) with the decoder's wording. Names come from `schema.meta({ id: 'ProfilesPost' })`
 * on each object. Used when a schema has refused a body: either this throws, or it returns a body without nulls to try again.
 */
export function fitToSchema(schema: unknown, value: unknown): unknown {
  const root = unwrap(schema as SchemaNode);
  if (value === null) return root._zod?.def.type === 'object' ? {} : value;
  return fit(root, value, { struct: nameOf(root), path: [] });
}

interface Place {
  readonly struct: string;
  /** Field names from the root; keys of maps and positions in lists are not named by the decoder. */
  readonly path: readonly string[];
}

function fit(schema: SchemaNode, value: unknown, place: Place): unknown {
  const node = unwrap(schema);
  const def = node._zod?.def;
  switch (def?.type) {
    case 'object':
      return fitObject(node, def, value, place);
    case 'record': {
      if (!isObject(value)) refuse(value, node, place);
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, v === null ? zeroOf(def.valueType) : fit(def.valueType ?? {}, v, place)]));
    }
    case 'array':
      if (!Array.isArray(value)) refuse(value, node, place);
      return value.map((v) => (v === null ? zeroOf(def.element) : fit(def.element ?? {}, v, place)));
    case 'string':
      if (typeof value !== 'string' && typeName(node) === 'time.Time') refuseTime(value);
      if (typeof value !== 'string') refuse(value, node, place);
      return value;
    case 'boolean':
      if (typeof value !== def.type) refuse(value, node, place);
      return value;
    case 'number':
      if (typeof value !== 'number' || (isInteger(def) && !Number.isInteger(value))) refuse(value, node, place);
      return value;
    default:
      return value;
  }
}

function fitObject(node: SchemaNode, def: SchemaDefinition, value: unknown, place: Place): Record<string, unknown> {
  if (!isObject(value)) refuse(value, node, place);
  const shape = def.shape ?? {};
  const result: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    const schema = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (field === null && schema !== undefined && !acceptsNull(schema)) continue;
    result[name] = schema === undefined || field === null ? field : fit(schema, field, { struct: nameOf(node), path: [...place.path, name] });
  }
  return result;
}

const transparent = ['optional', 'nullable', 'default', 'prefault', 'readonly', 'nonoptional', 'catch'];

function unwrap(schema: SchemaNode): SchemaNode {
  let node = schema;
  for (;;) {
    const def: SchemaDefinition | undefined = node._zod?.def;
    if (def === undefined) return node;
    if (transparent.includes(def.type) && def.innerType) node = def.innerType;
    else if (def.type === 'pipe' && def.in) node = def.in;
    else return node;
  }
}

function acceptsNull(schema: SchemaNode): boolean {
  const def = schema._zod?.def;
  return def?.type === 'nullable' || (def?.innerType !== undefined && acceptsNull(def.innerType));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function isInteger(def: SchemaDefinition): boolean {
  return def.format !== undefined || (def.checks ?? []).some((c) => c._zod?.def?.format?.includes('int') === true);
}

function zeroOf(schema: SchemaNode | undefined): unknown {
  const type = schema === undefined ? '' : unwrap(schema)._zod?.def.type;
  if (type === 'string') return '';
  if (type === 'number') return 0;
  if (type === 'boolean') return false;
  return type === 'array' ? [] : {};
}

function nameOf(schema: SchemaNode): string {
  const meta = schema.meta?.();
  const name = meta?.id ?? meta?.title;
  return typeof name === 'string' ? name : '';
}

/** Structures that LXD keeps by pointer in maps say so. */
function pointed(schema: SchemaNode | undefined): string {
  return schema !== undefined && unwrap(schema).meta?.()?.pointer === true ? '*' : '';
}

/** The Go type the decoder names for a schema. */
function typeName(schema: SchemaNode | undefined): string {
  const node = schema === undefined ? {} : unwrap(schema);
  const def = node._zod?.def;
  const declared = node.meta?.()?.goType;
  if (typeof declared === 'string') return declared;
  switch (def?.type) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'number':
      return isInteger(def) ? 'int' : 'float64';
    case 'array':
      return `[]${typeName(def.element)}`;
    case 'record':
      return `map[string]${pointed(def.valueType)}${typeName(def.valueType)}`;
    case 'object':
      return `api.${nameOf(node)}`;
    default:
      return 'interface {}';
  }
}

function kindOf(value: unknown, schema: SchemaNode): string {
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'number') return unwrap(schema)._zod?.def.type === 'number' ? `number ${value}` : 'number';
  return typeof value;
}

/** Times decode themselves: from the text of the JSON, whatever it is. */
function refuseTime(value: unknown): never {
  const text = JSON.stringify(JSON.stringify(value));
  throw invalid(`parsing time ${text} as "\\"2006-01-02T15:04:05Z07:00\\"": cannot parse ${text} as "\\""`);
}

function refuse(value: unknown, schema: SchemaNode, place: Place): never {
  const into = place.path.length === 0 ? 'Go value' : `Go struct field ${place.struct}.${place.path.join('.')}`;
  throw invalid(`json: cannot unmarshal ${kindOf(value, schema)} into ${into} of type ${typeName(schema)}`);
}
