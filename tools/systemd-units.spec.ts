import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const lines = (unit: string): string[] => readFileSync(new URL(`../deploy/systemd/${unit}`, import.meta.url), 'utf8').split('\n').filter((line) => !line.startsWith('#'));

it('leaves what the agent started alone when its unit stops', () => {
  expect(lines('roost-agent.service')).toEqual(expect.arrayContaining(['KillMode=process', 'Delegate=yes', 'LimitNOFILE=1048576']));
});

it('lets the daemon end its etcd itself', () => {
  expect(lines('roostd.service')).toContain('KillMode=mixed');
});

it('gives neither unit a mount or network namespace of its own, which running monitors would not share', () => {
  const isolating = /^(Private\w+|Protect\w+|ReadOnlyPaths|ReadWritePaths|InaccessiblePaths|ExecPaths|NoExecPaths|BindPaths|BindReadOnlyPaths|TemporaryFileSystem|RootDirectory|RootImage|MountAPIVFS|MountFlags|DynamicUser|RestrictNamespaces|NetworkNamespacePath|StateDirectory|RuntimeDirectory)=/;
  for (const unit of ['roost-agent.service', 'roostd.service']) expect(lines(unit).filter((line) => isolating.test(line))).toEqual([]);
});
