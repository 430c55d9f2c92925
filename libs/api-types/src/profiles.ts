import { z } from 'zod';

/** A profile as shown. */
export interface Profile {
  readonly config: Readonly<Record<string, string>>;
  readonly description: string;
  readonly devices: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Example: default */
  readonly name: string;
  /** URLs of instances. */
  readonly used_by: readonly string[];
}

const fields = {
  config: z.record(z.string(), z.string()).optional(),
  description: z.string().optional(),
  devices: z.record(z.string(), z.record(z.string(), z.string())).optional(),
};

/** Body of `PUT` and `PATCH /1.0/profiles/{name}`. A PATCH merges keys, and replaces whole devices. */
export const profilePut = z.object(fields).meta({ id: 'ProfilePut' });
export const profilePatch = z.object(fields).meta({ title: 'ProfilePut', goType: 'shared.Jmap' });
export type ProfilePut = z.infer<typeof profilePut>;

/** Body of `POST /1.0/profiles`. */
export const profilesPost = z.object({ name: z.string().optional(), ...fields }).meta({ id: 'ProfilesPost' });
export type ProfilesPost = z.infer<typeof profilesPost>;

/** Body of `POST /1.0/profiles/{name}`: the new name. */
export const profilePost = z.object({ name: z.string().optional() }).meta({ id: 'ProfilePost' });
export type ProfilePost = z.infer<typeof profilePost>;
