import { defineConfig } from 'vitest/config';

const resolve = { conditions: ['source', 'node'] };
const ssr = { resolve: { conditions: ['source', 'node'] } };

/**
 * What kills, cuts, pauses and fills members for minutes, and whole days told to both daemons: their outcome hangs on the moment and on the machine, so they
 * are run on purpose (`./test/run faults`), not with every change.
 */
const faults = ['contention', 'deploy', 'harness', 'hazards', 'killed-steps', 'lost-majority', 'nemesis', 'stories'].map((name) => `test/cluster/${name}.spec.ts`);

/**
 * `unit` needs no host and no build; its files share processes, which halves the time, so none may leave global state behind. `conformance` drives a daemon over HTTP, ours or (TARGET=lxd) real LXD. `e2e` and `cluster` need root, the real
 * tools and a build; their files share the host and so run one after the other.
 */
export default defineConfig({
  resolve,
  ssr,
  test: {
    projects: [
      { resolve, ssr, test: { name: 'unit', isolate: false, include: ['libs/**/*.spec.ts', 'apps/**/*.spec.ts', 'tools/**/*.spec.ts'], testTimeout: 20_000 } },
      { resolve, ssr, test: { name: 'conformance', include: ['test/conformance/**/*.spec.ts'], retry: 2, testTimeout: 60_000, hookTimeout: 60_000, fileParallelism: false } },
      { resolve, ssr, test: { name: 'faults', include: faults, testTimeout: 180_000, hookTimeout: 180_000, fileParallelism: false } },
      { resolve, ssr, test: { name: 'cluster', include: ['test/cluster/**/*.spec.ts'], exclude: faults, retry: 1, testTimeout: 180_000, hookTimeout: 180_000, fileParallelism: false } },
      { resolve, ssr, test: { name: 'e2e', include: ['test/e2e/**/*.spec.ts'], retry: 1, testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false } },
    ],
  },
});
