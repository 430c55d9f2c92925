import { expect, it } from 'vitest';
import { apiExtensions, extensionsToCome, laterExtensions } from './api-extensions.js';

/** LXD 5.0.2 announces 318 (the running daemon was asked). */
it('accounts for every extension of LXD 5.0.2 once', () => {
  const all = [...apiExtensions.filter((name) => !laterExtensions.includes(name)), ...Object.values(extensionsToCome).flat()];
  expect(all).toHaveLength(318);
  expect(new Set(all).size).toBe(318);
});
