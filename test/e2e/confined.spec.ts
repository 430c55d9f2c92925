import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { findRoostHelper } from '#host';
import { needsRoot } from '../support/needs.js';

it.skipIf(needsRoot !== '')('a program confined to a directory cannot reach further with what it may', () => {
  const root = mkdtempSync(join(tmpdir(), 'roost-confined-'));
  try {
    const attempts = {
      mount: 'mount -t tmpfs none /volume', remount: 'mount -o remount,rw,dev /', namespace: 'unshare --mount true', root: 'chroot /usr /bin/true',
      device: 'mknod /tmp/zero c 1 5 && head -c 1 /tmp/zero', 'device in the volume': 'mknod /volume/zero c 1 5 && head -c 1 /volume/zero',
    };
    const script = Object.entries(attempts).map(([what, line]) => `if (${line}) >/dev/null 2>&1; then echo '${what}'; fi`);

    const reached = execFileSync(findRoostHelper(), ['confined', 'rw', root, 'sh', '-c', [...script, 'echo done'].join('\n')], { encoding: 'utf8' });

    expect(reached.trim().split('\n')).toEqual(['done']);
    expect(statSync(`${root}/zero`).isCharacterDevice()).toBe(true);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
