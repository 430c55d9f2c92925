import { invalid, isFalse, isTrue } from '#kernel';
import { projectFeatures, type ProjectFeature } from '#config-schema';

type Config = Readonly<Record<string, string>>;

/** Objects of a noun lie in the project itself when the feature is on, and in the default project otherwise. An unset feature is off. */
export function hasFeature(config: Config, feature: ProjectFeature): boolean {
  return isTrue(config[feature]);
}

/** The features that are on in one and off in the other. */
export function changedFeatures(before: Config, after: Config): { feature: ProjectFeature; enabled: boolean }[] {
  return projectFeatures
    .filter((feature) => hasFeature(before, feature) !== hasFeature(after, feature))
    .map((feature) => ({ feature, enabled: hasFeature(after, feature) }));
}

/** Refuses changes of features that would strand what lies in the project. LXD looks at the text of the key: unset is not `false`. */
export function checkFeatureChange(name: string, before: Config, after: Config, isEmpty: () => boolean): void {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)].filter((key) => key.startsWith('features.')));
  const changed = [...keys].filter((key) => (before[key] ?? '') !== (after[key] ?? '')).toSorted();
  if (changed.length === 0) return;
  if (name === 'default') throw invalid("You can't change the features of the default project");
  if (isEmpty()) return;
  for (const feature of changed) {
    if (isTrue(before[feature])) throw invalid(`Project feature "${feature}" cannot be disabled on non-empty projects`);
    // Networks may be split off at any time: what is used of the default project's stays there.
    if (isFalse(before[feature]) && feature !== 'features.networks') throw invalid(`Project feature "${feature}" cannot be enabled on non-empty projects`);
  }
}
