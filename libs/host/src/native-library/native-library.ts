import { existsSync } from 'node:fs';
import koffi, { type KoffiFunc } from 'koffi';
import { nativeFile } from '../roost-helper/roost-helper.js';

let removeTree: KoffiFunc<(path: string, most: number) => number> | null | undefined;

/** `dist/native/libroost.so`, when it was built. */
function load(): KoffiFunc<(path: string, most: number) => number> | null {
  const path = nativeFile('libroost.so');
  if (!existsSync(path)) return null;
  return koffi.load(path).func('int roost_remove_tree(const char *path, int most)');
}

/**
 * Removes a tree of at most `most` entries, in a thread of the pool. False when it is larger, deeper, has something mounted inside or refuses:
 * part of it may be gone.
 */
export function removeSmallTree(path: string, most: number): Promise<boolean> {
  removeTree ??= load();
  const call = removeTree;
  if (call === null) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    call.async(path, most, (error: unknown, result: number) => (error ? reject(error as Error) : resolve(result === 0)));
  });
}
