import type { ConfigMap } from '#api-types';

/** Properties of an image as an instance's `image.*` keys. */
export function imageConfig(image: { readonly properties: Readonly<ConfigMap> }): ConfigMap {
  return Object.fromEntries(Object.entries(image.properties).map(([name, value]) => [`image.${name}`, value]));
}
