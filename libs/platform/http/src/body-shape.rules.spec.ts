import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { validateBody } from './body.pipe.js';

const source = z.object({ type: z.string().optional() }).meta({ id: 'InstanceSource' });
const schema = z
  .object({
    name: z.string().default(''),
    ephemeral: z.boolean().optional(),
    timeout: z.number().int().optional(),
    config: z.record(z.string(), z.string()).default({}),
    devices: z.record(z.string(), z.record(z.string(), z.string())).optional(),
    profiles: z.array(z.string()).nullable().optional(),
    source: source.optional(),
    expires_at: z.string().meta({ goType: 'time.Time' }).nullish(),
    user: z.number().int().meta({ goType: 'uint32' }).optional(),
    templates: z.record(z.string(), z.object({}).meta({ title: 'Template', pointer: true })).optional(),
  })
  .meta({ id: 'InstancesPost' });

describe('validateBody', () => {
  // Wording asked of LXD 5.0.2.
  it.each([
    [{ ephemeral: 'yes' }, 'json: cannot unmarshal string into Go struct field InstancesPost.ephemeral of type bool'],
    [{ source: 'yes' }, 'json: cannot unmarshal string into Go struct field InstancesPost.source of type api.InstanceSource'],
    [{ source: { type: 4 } }, 'json: cannot unmarshal number into Go struct field InstanceSource.source.type of type string'],
    [{ profiles: 'a' }, 'json: cannot unmarshal string into Go struct field InstancesPost.profiles of type []string'],
    [{ profiles: [4] }, 'json: cannot unmarshal number into Go struct field InstancesPost.profiles of type string'],
    [{ timeout: '3' }, 'json: cannot unmarshal string into Go struct field InstancesPost.timeout of type int'],
    [{ timeout: 3.5 }, 'json: cannot unmarshal number 3.5 into Go struct field InstancesPost.timeout of type int'],
    [{ config: [] }, 'json: cannot unmarshal array into Go struct field InstancesPost.config of type map[string]string'],
    [{ config: { a: 5 } }, 'json: cannot unmarshal number into Go struct field InstancesPost.config of type string'],
    [{ devices: { a: 3 } }, 'json: cannot unmarshal number into Go struct field InstancesPost.devices of type map[string]string'],
    [{ expires_at: 5 }, 'parsing time "5" as "\\"2006-01-02T15:04:05Z07:00\\"": cannot parse "5" as "\\""'],
    [{ user: 'a' }, 'json: cannot unmarshal string into Go struct field InstancesPost.user of type uint32'],
    [{ templates: 'a' }, 'json: cannot unmarshal string into Go struct field InstancesPost.templates of type map[string]*api.Template'],
    [{ templates: { a: 'b' } }, 'json: cannot unmarshal string into Go struct field InstancesPost.templates of type api.Template'],
    [undefined, 'EOF'],
    ['x', 'json: cannot unmarshal string into Go value of type api.InstancesPost'],
    [true, 'json: cannot unmarshal bool into Go value of type api.InstancesPost'],
  ])('refuses %j', async (body, message) => {
    await expect(validateBody(schema, body)).rejects.toThrow(message);
  });

  it('takes null for "not given", and as an empty text inside a map', async () => {
    expect(await validateBody(schema, { name: null, config: { 'user.a': null }, profiles: null, ephemeral: null })).toEqual({ name: '', config: { 'user.a': '' }, profiles: null });
    expect(await validateBody(schema, null)).toEqual({ name: '', config: {} });
  });

  it('drops fields it does not know', async () => {
    expect(await validateBody(schema, { name: 'a', other: 1 })).toEqual({ name: 'a', config: {} });
  });
});
