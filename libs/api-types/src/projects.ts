import { z } from 'zod';

/** A project as shown. */
export interface Project {
  /** Unset `features.*` count as false, except in what a new project gets. */
  readonly config: Readonly<Record<string, string>>;
  readonly description: string;
  /** Example: web */
  readonly name: string;
  /** URLs of what lies in it. */
  readonly used_by: readonly string[];
}

/** Body of `PUT` and `PATCH /1.0/projects/{name}`. A PATCH with `config` replaces all of it, as in LXD 5.0.2. */
export const projectPut = z
  .object({ config: z.record(z.string(), z.string()).optional(), description: z.string().optional() })
  .meta({ id: 'ProjectPut' });
/** Of `PATCH`, where only what is there is changed. */
export const projectPatch = projectPut.meta({ title: 'ProjectPut', goType: 'shared.Jmap' });
export type ProjectPut = z.infer<typeof projectPut>;

/** Body of `POST /1.0/projects`. */
export const projectsPost = z
  .object({ name: z.string().optional(), config: z.record(z.string(), z.string()).optional(), description: z.string().optional() })
  .meta({ id: 'ProjectsPost' });
export type ProjectsPost = z.infer<typeof projectsPost>;

/** Body of `POST /1.0/projects/{name}`: the new name. */
export const projectPost = z.object({ name: z.string().optional() }).meta({ id: 'ProjectPost' });
export type ProjectPost = z.infer<typeof projectPost>;

/** -1 means no limit. The capitals are LXD's. */
export interface ProjectStateResource {
  readonly Limit: number;
  readonly Usage: number;
}

/** `GET /1.0/projects/{name}/state`: `containers`, `cpu`, `disk`, `instances`, `memory`, `networks`, `processes`, `virtual-machines`. */
export interface ProjectState {
  readonly resources: Readonly<Record<string, ProjectStateResource>>;
}
