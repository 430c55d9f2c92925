// Rules about the tree that no linter knows: each prints what to do instead. Exit code 1 when one is broken.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' }).split('\n').filter((f) => f && existsSync(f));
const code = files.filter((f) => /^(apps|libs)\/.*\.ts$/.test(f));
const production = code.filter((f) => !/\.spec\.ts$|\/testing\//.test(f));
const problems = [];
const complain = (file, what) => problems.push(`${file}: ${what}`);

for (const file of code) {
  if (/(^|\/)(common|shared|utils|helpers)(\/|\.ts$)/.test(file)) complain(file, 'name folders and files after what they hold (no common, shared, utils, helpers)');
  if (!/^[a-z0-9-]+(\.[a-z0-9-]+)*\.ts$/.test(basename(file))) complain(file, 'file names are kebab-case.role.ts');
}
for (const file of production) {
  const text = readFileSync(file, 'utf8');
  if (!file.startsWith('libs/kernel/') && /throw new Error\(/.test(text)) complain(file, 'throw an AppError of kernel, not Error');
  if (!file.startsWith('libs/kernel/') && /Date\.now\(\)/.test(text)) complain(file, 'durations and deadlines by Deadline of kernel or performance.now(), since clocks are set; what time it is, by Clock or new Date()');
  if (/forwardRef\(/.test(text)) complain(file, 'forwardRef is banned: the lower part owns a registry');
  if (/\b(TODO|FIXME|XXX)\b/.test(text)) complain(file, 'finish it or write down its condition in docs/, not as a TODO');
}

const adrs = files.filter((f) => /^docs\/adr\/\d{4}-.*\.md$/.test(f)).sort();
adrs.forEach((file, index) => {
  if (Number(basename(file).slice(0, 4)) !== index + 1) complain(file, `ADR numbers are consecutive: expected ${String(index + 1).padStart(4, '0')}`);
});

// A rule is as good as its test: every title that docs/hazards.md names must stand in a test.
const tests = files.filter((f) => /\.spec\.ts$|\/testing\//.test(f)).map((f) => readFileSync(f, 'utf8').replaceAll("\\'", "'")).join('\n');
for (const row of readFileSync('docs/hazards.md', 'utf8').split('\n').filter((line) => /^\| [A-F]\d:/.test(line))) {
  const titles = [...(row.split(' | ')[2] ?? '').matchAll(/"([^"]+)"/g)].map((match) => match[1]);
  if (titles.length === 0) complain('docs/hazards.md', `no test for "${row.slice(2, 40)}..."`);
  for (const title of titles) if (!tests.includes(title)) complain('docs/hazards.md', `no test is called "${title}"`);
}

// What a newcomer is sent to must be there.
for (const file of files.filter((f) => f.endsWith('.md'))) {
  for (const [path] of readFileSync(file, 'utf8').matchAll(/\b(?:apps|deploy|docs|libs|proto|test|tools)\/[\w./-]+\.(?:c|cjs|h|js|md|mjs|proto|ts)\b/g)) {
    if (!existsSync(path)) complain(file, `there is no ${path}`);
  }
}

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exit(1);
}
console.log(`hygiene: ${code.length} source files, ${adrs.length} ADRs, nothing to complain about`);
