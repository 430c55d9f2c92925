import { defineConfig } from 'vitest/config';

const resolve = { conditions: ['source', 'node'] };
const ssr = { resolve: { conditions: ['source', 'node'] } };

/** Projects: `unit` needs no host; `conformance` a daemon on the fake host or a real one; `e2e` root and the real tools. */
export default defineConfig({
  resolve, ssr,
  test: {
    projects: [
      { resolve, ssr, test: { name: 'unit', include: ['libs/**/*.spec.ts', 'apps/**/*.spec.ts', 'tools/**/*.spec.ts'] } },
    ],
  },
});
