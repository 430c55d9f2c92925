// Writes the parts of docs/ that are derived from the code: the configuration keys and the routes. `--check` writes nothing and fails on drift.
// Needs a build (dist/).
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const top = new URL('..', import.meta.url).pathname;
const check = process.argv.includes('--check');
const generated = '<!-- Written by `npm run generate`; change the code, not this file. -->\n';

async function configurationKeys() {
  const { KeyGroup, ...rest } = await import(join(top, 'dist/libs/config-schema/src/index.js'));
  // Some are exported alone, those of devices and pools by type.
  const members = (value) => (value instanceof Map ? [...value.values()] : value instanceof Object ? Object.values(value) : []);
  const groups = Object.values(rest).flatMap((value) => [value, ...members(value)]).filter((value) => value instanceof KeyGroup);
  groups.sort((a, b) => (a.entity < b.entity ? -1 : 1));
  const sections = groups.map((group) => {
    const rows = Object.entries({ ...group.keys, ...group.prefixes }).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, spec]) => {
      const shown = name === '' || name.endsWith('.') ? `${name}*` : name;
      return `| \`${shown}\` | ${spec.type} | ${(spec.default ?? '').replaceAll('|', '\\|')} | ${spec.condition ?? ''} | ${spec.liveUpdate ? 'yes' : ''} | ${spec.short.replaceAll('|', '\\|')} |`;
    });
    return `## ${group.entity}\n\n| key | type | default | condition | live | what it does |\n|---|---|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Configuration keys\n\n${generated}\n${sections.join('\n')}`;
}

/** What Nest will register: the metadata its decorators left on the controllers of the build. */
async function routes() {
  const { RequestMethod } = await import('@nestjs/common');
  const list = (value) => (Array.isArray(value) ? value : [value ?? '']);
  const rows = [];
  // The sources name the files, since a build may still hold what was since deleted.
  for (const file of globSync('libs/features/**/*.controller.ts', { cwd: top })) {
    const classes = Object.values(await import(join(top, 'dist', file.replace(/\.ts$/, '.js')))).filter((value) => Reflect.hasMetadata('__controller__', value));
    for (const type of classes) {
      for (const handler of Object.getOwnPropertyNames(type.prototype).map((name) => type.prototype[name])) {
        const method = Reflect.getMetadata('method', handler);
        if (method === undefined) continue;
        for (const base of list(Reflect.getMetadata('path', type))) {
          for (const path of list(Reflect.getMetadata('path', handler))) {
            const parts = [base, path].flatMap((part) => part.split('/')).filter((part) => part !== '');
            rows.push([`/${parts.join('/')}`, RequestMethod[method], file.split('/').slice(0, 3).join('/')]);
          }
        }
      }
    }
  }
  rows.sort((a, b) => (a.join(' ') < b.join(' ') ? -1 : 1));
  const lines = rows.map(([path, method, folder]) => `| \`${path}\` | ${method} | ${folder} |`);
  return `# Routes\n\n${generated}\n| path | method | served by |\n|---|---|---|\n${lines.join('\n')}\n`;
}

const outputs = { 'docs/configuration.md': await configurationKeys(), 'docs/routes.md': await routes() };
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
