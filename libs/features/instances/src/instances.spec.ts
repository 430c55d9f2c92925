import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FakeMember, anyTree } from './testing/fake-member.js';
import { InstancesService } from './instances.service.js';

let member: FakeMember;
beforeAll(async () => { member = await FakeMember.start(); });
afterAll(() => member.close());
afterEach(() => { member.seen.length = 0; });

describe('creating', () => {
  it('makes an instance', async () => {
    await member.create('c1');

    const instance = await member.instance('c1');
    expect(instance).toMatchObject({ name: 'c1', status: 'Stopped', profiles: ['default'] });
    expect(member.seen).toEqual(['instance-created /1.0/instances/c1']);
    expect(await member.get(InstancesService).listUrls(anyTree, { project: 'default', type: null, filter: undefined })).toEqual(['/1.0/instances/c1']);
  });
});
