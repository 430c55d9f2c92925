import { projectPrefixed } from '#kernel';
import { apiUrl } from '#platform/http';
import type { InstanceType } from '#api-types';

interface Named {
  readonly project: string;
  readonly name: string;
}

/** The name an instance has on the host. */
export function hostName({ project, name }: Named): string {
  return projectPrefixed(project, name);
}

export function instanceUrl({ project, name }: Named): string {
  return apiUrl(['1.0', 'instances', name], project);
}

/** What an operation on an instance names: containers under their former name too. */
export function instanceResources(instance: Named & { readonly type: InstanceType }): Record<string, string[]> {
  const instances = [instanceUrl(instance)];
  if (instance.type !== 'container') return { instances };
  return { containers: [apiUrl(['1.0', 'containers', instance.name], instance.project)], instances };
}

/** Operations on several instances take turns with others on any of them by this key. */
export function instanceConflictKey({ project, name }: Named): string {
  return `instance:${project}/${name}`;
}
