// Writes the parts of docs/ that are derived from the code: the configuration keys and the routes. `--check` writes nothing and fails on drift.
// Needs a build (dist/).
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const top = new URL('..', import.meta.url).pathname;
const check = process.argv.includes('--check');
const generated = '<!-- Written by `npm run generate`; change the code, not this file. -->\n';

async function configurationKeys() {
  const { KeyGroup, ...rest } = await import(join(top, 'dist/libs/config-schema/src/index.js'));
  const groups = Object.values(rest).filter((value) => value instanceof KeyGroup).sort((a, b) => (a.entity < b.entity ? -1 : 1));
  const sections = groups.map((group) => {
    const rows = Object.entries({ ...group.keys, ...group.prefixes }).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, spec]) => {
      const shown = name.endsWith('.') ? `${name}*` : name;
      return `| \`${shown}\` | ${spec.type} | ${(spec.default ?? '').replaceAll('|', '\\|')} | ${spec.condition ?? ''} | ${spec.liveUpdate ? 'yes' : ''} | ${spec.short.replaceAll('|', '\\|')} |`;
    });
    return `## ${group.entity}\n\n| key | type | default | condition | live | what it does |\n|---|---|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Configuration keys\n\n${generated}\n${sections.join('\n')}`;
}

/** Routes are read from the controllers' decorators in the sources: what Nest will register, in one table. */
function routes() {
  const rows = [];
  const features = join(top, 'libs/features');
  const walk = (folder) => readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? walk(join(folder, entry.name)) : [join(folder, entry.name)]));
  for (const file of walk(features).filter((name) => name.endsWith('.controller.ts'))) {
    const text = readFileSync(file, 'utf8');
    const controller = /@Controller\(\s*(\[[^\]]*\]|'[^']*'|"[^"]*"|[^)]*)\s*\)/.exec(text);
    const bases = [...(controller?.[1] ?? '').matchAll(/'([^']*)'/g)].map((match) => match[1]);
    for (const match of text.matchAll(/@(Get|Post|Put|Patch|Delete|Head)\((?:'([^']*)'|(\[[^\]]*\]))?\)/g)) {
      const paths = match[3] ? [...match[3].matchAll(/'([^']*)'/g)].map((m) => m[1]) : [match[2] ?? ''];
      for (const base of bases.length > 0 ? bases : ['']) {
        for (const path of paths) rows.push([`/${[base, path].filter((part) => part !== '').join('/')}`, match[1].toUpperCase(), file.slice(top.length)]);
      }
    }
  }
  rows.sort((a, b) => (a[0] + a[1] < b[0] + b[1] ? -1 : 1));
  const lines = rows.map(([path, method, file]) => `| \`${path}\` | ${method} | ${file} |`);
  return `# Routes\n\n${generated}\n| path | method | controller |\n|---|---|---|\n${lines.join('\n')}\n`;
}

const outputs = { 'docs/configuration.md': await configurationKeys(), 'docs/routes.md': routes() };
let drift = false;
for (const [file, text] of Object.entries(outputs)) {
  const path = join(top, file);
  if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
  if (check) {
    console.error(`${file} is not what the code says: run npm run generate`);
    drift = true;
  } else {
    writeFileSync(path, text);
    console.log(`wrote ${file}`);
  }
}
process.exit(drift ? 1 : 0);
