// Joins the compiled daemon and agent with their libraries into a few files in dist/bundle: a start reads a dozen files instead of fifteen hundred,
// which halves the time to ready and saves memory. What stays outside is native (koffi), rarely needed (x509), or optional and not installed.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { rolldown } from 'rolldown';

const top = new URL('..', import.meta.url).pathname;
const outside = [/^koffi/, /^@koromix\//, /^@peculiar\/x509/];
const folder = `${top}dist/bundle`;

const staleMs = 60 * 60_000;

/**
 * TypeORM loads the drivers of all databases it knows, a megabyte of code, to choose one by name. Ours is better-sqlite3; the others become classes
 * that only say that they are absent.
 */
const otherDrivers = {
  name: 'other-drivers',
  load(id) {
    const [, folder, driver] = /\/typeorm\/driver\/([\w-]+)\/(\w+Driver)\.js$/.exec(id) ?? [];
    if (driver === undefined || ['better-sqlite3', 'sqlite-abstract'].includes(folder)) return null;
    return `exports.${driver} = class ${driver} { constructor() { throw new Error('${driver} is left out of this build (tools/bundle.mjs)'); } };`;
  },
};

/**
 * An `import` of node:http reads everything that module exports, and one of the things is an HTTP client and websockets of ninety modules, which is
 * loaded then. Asked for as a CommonJS module it hands out only what is used.
 */
const slim = /^(node:)?http$/;
const slimHttp = {
  name: 'slim-http',
  resolveId: (id, importer) => (slim.test(id) && importer !== undefined ? '\0slim-http' : null),
  load: (id) => (id === '\0slim-http' ? 'module.exports = process.getBuiltinModule("node:http");' : null),
};

const unresolved = new Set();
const bundle = await rolldown({
  input: { daemon: `${top}dist/apps/daemon/src/main.js`, agent: `${top}dist/apps/agent/src/main.js` },
  platform: 'node',
  plugins: [otherDrivers, slimHttp],
  external: (id) => !slim.test(id) && (outside.some((pattern) => pattern.test(id)) || builtinModules.includes(id) || id.startsWith('node:')),
  // protobufjs takes Long only as CommonJS gives it; without Long, 64-bit numbers as etcd's ids lose their last digits, silently.
  resolve: { conditionNames: ['import', 'node', 'default'], alias: { long: `${top}node_modules/long/umd/index.js` } },
  // TypeORM and Nest try drivers and platforms that are not installed and go on without; anything of ours that is missing is an error.
  onLog: (_level, log, print) => {
    if (log.code === 'UNRESOLVED_IMPORT') {
      if (log.id !== undefined && !log.id.includes('node_modules')) throw new Error(log.message);
      unresolved.add(log.exporter ?? log.message.split('\n')[0]);
    } else if (log.code !== 'EVAL' && log.code !== 'CIRCULAR_DEPENDENCY') print('warn', log);
  },
});
// Names are kept: TypeORM and the logs use those of classes. In memory a text with a single character beyond Latin-1 takes two bytes for each, and V8
// keeps the text of all code: hence ASCII, and no comments but those of licences.
const { output } = await bundle.write({
  dir: folder, format: 'esm', keepNames: true, chunkFileNames: '[name]-[hash].js', charset: 'ascii', comments: { legal: true, annotation: true, jsdoc: false },
});
// The command line apart from them, in one file: an image of the heap is made of it (docs/adr/0015), and such a file loads nothing but what is in Node. What
// of Node a command needs is asked for when the command is, because not all of it can be in an image.
const lateBuiltins = {
  name: 'late-builtins',
  resolveId: (id, importer) => (importer !== undefined && builtinModules.includes(id.replace(/^node:/, '')) ? `\0builtin:${id.replace(/^node:/, '')}` : null),
  load: (id) => (id.startsWith('\0builtin:') ? `module.exports = process.getBuiltinModule("node:${id.slice('\0builtin:'.length)}");` : null),
};
const cliEntry = `${top}dist/apps/cli/src/main.js`;
const cli = await rolldown({
  input: { roost: cliEntry },
  platform: 'node',
  plugins: [lateBuiltins],
  // Our modules do nothing when they are loaded: what is not used of one is not loaded.
  treeshake: { moduleSideEffects: (id) => !id.startsWith(`${top}dist/`) || id === cliEntry },
  resolve: { conditionNames: ['import', 'node', 'default'] },
  // `ws` would take a native module that is not there.
  onLog: (_level, log, print) => {
    if (log.code === 'UNRESOLVED_IMPORT' && (log.id === undefined || !log.id.includes('node_modules'))) throw new Error(log.message);
    if (!['UNRESOLVED_IMPORT', 'EVAL', 'CIRCULAR_DEPENDENCY'].includes(log.code)) print('warn', log);
  },
});
const { output: cliOutput } = await cli.write({ file: `${folder}/roost.cjs`, format: 'cjs', codeSplitting: false, minify: true, charset: 'ascii', comments: { legal: true, annotation: false, jsdoc: false } });
// Without the compiled code of Node's own modules, which would treble the image: reading it would take longer than compiling the few functions a command uses.
writeFileSync(`${folder}/roost.image.json`, JSON.stringify({ builder: `${folder}/roost.cjs`, withoutCodeCache: true }));
execFileSync(process.execPath, ['--expose-gc', '--snapshot-blob', `${folder}/roost.image.new`, '--build-snapshot-config', `${folder}/roost.image.json`], { stdio: 'inherit' });
renameSync(`${folder}/roost.image.new`, `${folder}/roost.image`);
rmSync(`${folder}/roost.image.json`);
// Chunks carry a hash of their content. Those of former builds stay a while: a process that is starting, or loads a part late, still wants them.
const current = new Set([...[...output, ...cliOutput].map((file) => file.fileName), 'roost.image']);
for (const name of readdirSync(folder)) {
  if (!current.has(name) && Date.now() - statSync(`${folder}/${name}`).mtimeMs > staleMs) rmSync(`${folder}/${name}`, { recursive: true });
}

// What an installation needs (read by deploy/up), a path per line: the bundle without what is stale, the packages imported from outside, and theirs.
const folders = new Set();

function folderOf(name, from) {
  for (let directory = from; ; directory = dirname(directory)) {
    const folder = join(directory, 'node_modules', name);
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (directory === dirname(directory)) return undefined;
  }
}

function collect(name, from, optional = false) {
  const folder = folderOf(name, from);
  if (folder === undefined) {
    if (optional) return;
    throw new Error(`${name}, needed by ${from}, is not installed`);
  }
  if (folders.has(folder)) return;
  folders.add(folder);
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  for (const dependency of Object.keys(optionalDependencies)) collect(dependency, folder, true);
  for (const dependency of Object.keys(dependencies)) if (!(dependency in optionalDependencies)) collect(dependency, folder);
}

const imported = new Set(output.flatMap((chunk) => (chunk.type === 'chunk' ? [...chunk.imports, ...chunk.dynamicImports] : [])));
for (const id of imported) {
  if (outside.some((pattern) => pattern.test(id))) collect(id.split('/').slice(0, id.startsWith('@') ? 2 : 1).join('/'), top.replace(/\/$/, ''));
}
const paths = [...[...current].map((name) => join(folder, name)), ...folders];
writeFileSync(`${top}dist/manifest`, paths.map((path) => `${relative(top, path)}\n`).sort().join(''));
