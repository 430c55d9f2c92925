// Makes a package for npm of the client: dist/client-package, its code bundled for Node and for browsers, its types as they are in the tree. Needs a build.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { rolldown } from 'rolldown';

const top = new URL('..', import.meta.url).pathname;
const folder = process.argv[2] ?? `${top}dist/client-package`;
const { version, license, engines, dependencies, devDependencies } = JSON.parse(readFileSync(`${top}package.json`, 'utf8'));

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

async function bundle(input, platform, external) {
  const build = await rolldown({ input, platform, external, treeshake: { moduleSideEffects: false }, resolve: { conditionNames: ['import', platform, 'default'] } });
  const { output } = await build.write({ dir: folder, format: 'esm', entryFileNames: '[name].js', chunkFileNames: 'chunk-[hash].js', comments: { legal: true, annotation: true, jsdoc: false } });
  return output;
}

const source = `${top}dist/libs/client/src`;
await bundle({ index: `${source}/index.js`, http: `${source}/http-transport.js` }, 'node', (id) => id === 'ws' || id.startsWith('node:') || builtinModules.includes(id));
// A browser has nothing else: whatever this would import is a mistake.
const [web, ...more] = await bundle({ browser: `${source}/browser.js` }, 'browser', []);
if (more.length > 0 || web.imports.length > 0 || web.dynamicImports.length > 0) throw new Error(`The client for browsers imports ${[...web.imports, ...web.dynamicImports].join(', ')}`);

const types = `${folder}/types`;
const config = `${folder}/tsconfig.json`;
writeFileSync(config, JSON.stringify({
  extends: `${top}tsconfig.json`, include: [], files: ['index', 'browser', 'http-transport'].map((name) => `${top}libs/client/src/${name}.ts`),
  compilerOptions: { rootDir: top, outDir: types, declaration: true, emitDeclarationOnly: true, incremental: false, sourceMap: false, types: ['node'], typeRoots: [`${top}node_modules/@types`], tsBuildInfoFile: null },
}));
execFileSync(process.execPath, [`${top}node_modules/typescript-native/bin/tsc`, '-p', config], { stdio: 'inherit' });
rmSync(config);

const entry = (name) => ({ types: `./types/libs/client/src/${name === 'http' ? 'http-transport' : name}.d.ts`, default: `./${name}.js` });
const inner = (name) => ({ types: `./types/libs/${name}/src/index.d.ts` });
writeFileSync(`${folder}/package.json`, `${JSON.stringify({
  name: 'roost-client', version, license, type: 'module', engines, description: 'A typed client of the /1.0 API of Roost and LXD',
  exports: { '.': { browser: entry('browser'), ...entry('index') }, './browser': entry('browser'), './http': entry('http') },
  // The types name each other as the tree does.
  imports: { '#kernel': inner('kernel'), '#api-types': inner('api-types') },
  dependencies: { 'ws': dependencies.ws, 'zod': dependencies.zod, '@types/ws': devDependencies['@types/ws'] }, peerDependencies: { '@types/node': '*' }, peerDependenciesMeta: { '@types/node': { optional: true } },
}, null, 2)}\n`);
copyFileSync(`${top}libs/client/README.md`, `${folder}/README.md`);
copyFileSync(`${top}LICENSE`, `${folder}/LICENSE`);
