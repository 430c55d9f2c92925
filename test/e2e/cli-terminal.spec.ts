import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must } from '../support/pair.js';
import { needsRoot, unmet } from '../support/needs.js';
import { Target } from '../support/target.js';

const top = resolve(import.meta.dirname, '../..');
const reason = needsRoot !== '' ? needsRoot : spawnSync('tmux', ['-V']).status === 0 ? '' : 'tmux is not installed';

/** What only a real terminal shows: sizes, keys, editors, completion. Driven through tmux. */
describe.skipIf(unmet('the command line in a terminal', reason))('roost in a terminal', () => {
  const target = new Target('roost');
  const socket = `roost-cli-${process.pid}`;
  const editor = join(target.root, 'editor');
  const tmux = (...words: string[]): string => spawnSync('tmux', ['-L', socket, ...words], { encoding: 'utf8', env: { ...target.env, TERM: 'xterm', SHELL: '/bin/bash', EDITOR: editor, PATH: `${top}/deploy/bin:${process.env['PATH']}` } }).stdout;
  const screen = (): string => tmux('capture-pane', '-p', '-t', 'main');
  const type = (text: string, key = 'Enter'): void => { tmux('send-keys', '-t', 'main', '-l', text); if (key !== '') tmux('send-keys', '-t', 'main', key); };
  const press = (key: string): void => { tmux('send-keys', '-t', 'main', key); };
  const shows = async (pattern: RegExp): Promise<string> => {
    const until = performance.now() + 30_000;
    for (;;) {
      const text = screen();
      if (pattern.test(text)) return text;
      if (performance.now() > until) throw new Error(`${pattern} did not show:\n${text}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  };
  const clear = async (): Promise<void> => {
    press('C-l');
    await new Promise((done) => setTimeout(done, 200));
    tmux('clear-history', '-t', 'main');
  };

  beforeAll(async () => {
    await target.start();
    must(target, 'lxc storage create default dir');
    must(target, 'lxc profile device add default root disk path=/ pool=default');
    must(target, `${top}/deploy/busybox-image >bb.tar.gz && lxc image import bb.tar.gz --alias bb`);
    must(target, 'lxc launch bb c1 && lxc config device add c1 data none');
    writeFileSync(editor, '#!/bin/sh\nprintf "config:\\n  user.edited: %s\\ndescription: by hand\\n" "$(stty size | tr " " x)" >"$1"\n');
    chmodSync(editor, 0o755);
    tmux('new-session', '-d', '-s', 'main', '-x', '90', '-y', '30', 'bash --norc --noprofile');
    type("PS1='ready> '");
    await shows(/^ready>\s*$/m);
  });
  afterAll(async () => {
    tmux('kill-server');
    rmSync(editor, { force: true });
    await target.destroy();
  });

  it('gives a command the size of the terminal, and tells it when that changes', async () => {
    await clear();
    type('roost exec c1 -- sh');
    await shows(/#\s*$/m);
    type('stty size');
    await shows(/30 90/);
    tmux('resize-window', '-t', 'main', '-x', '100', '-y', '35');
    // When the command hears of it nobody says.
    type('until stty size | grep "35 100"; do sleep 0.2; done');
    await shows(/^35 100/m);
    type('exit 7');
    await shows(/^ready>\s*$/m);
    type('echo "code $?"');
    await shows(/code 7/);
  });

  it('hands Ctrl-C to the command, and leaves the terminal as it was', async () => {
    await clear();
    type('roost exec c1 -- sh');
    await shows(/#\s*$/m);
    type('sleep 1000');
    await new Promise((done) => setTimeout(done, 500));
    press('C-c');
    type('echo still-$((40 + 2))');
    await shows(/still-42/);
    type('exit');
    await shows(/^ready>\s*$/m);
    type('stty -a | grep -o " -\\?icanon\\| -\\?echo "');
    await shows(/^ icanon\n echo/m);
  });

  it('attaches to the console and leaves it by its keys', async () => {
    await clear();
    type('roost console c1');
    await shows(/To detach from the console, press: <ctrl>\+a q/);
    press('Enter');
    await shows(/login:/);
    press('C-a');
    press('q');
    await shows(/ready>\s*$/m);
  });

  it('opens the editor, which has the terminal', async () => {
    await clear();
    type('roost profile create p1 </dev/null; roost profile edit p1; roost profile show p1');
    await shows(/user\.edited: 35x100[\s\S]*description: by hand/);
  });

  it('asks before it deletes', async () => {
    await clear();
    type('roost delete -i c1');
    await shows(/Remove c1 \(yes\/no\):/);
    type('no');
    await shows(/Error: User aborted delete operation/);
  });

  it('completes commands, flags and live names in bash', async () => {
    await clear();
    type('source <(roost completion bash)');
    await new Promise((done) => setTimeout(done, 1500));
    await clear();
    type('roost exec c', 'Tab');
    await shows(/roost exec c1/);
    press('C-u');
    type('roost conf', 'Tab');
    await shows(/roost config/);
    press('C-u');
    type('roost list --all-p', 'Tab');
    await shows(/roost list --all-projects/);
    press('C-u');
    press('Enter');
  });

  it.each([
    ['zsh', 'zsh -f', "autoload -Uz compinit && compinit -D && source <(roost completion zsh) && PS1='ready> ' && clear"],
    ['fish', `env HOME=${target.root} fish --no-config --private`, "function fish_prompt; echo -n 'ready> '; end; roost completion fish | source; clear"],
  ])('completes commands, flags, live names and those of remotes in %s', async (_shell, command, setUp) => {
    tmux('respawn-pane', '-k', '-t', 'main', command);
    await shows(/[#%>]\s*$/m);
    type(setUp);
    await shows(/^ready>\s*$/m);
    for (const [typed, expected] of [
      ['roost exec c', /roost exec c1/], ['roost conf', /roost config/], ['roost list --all-p', /roost list --all-projects/], ['roost exec local:c', /roost exec local:c1/], ['roost list --format ya', /roost list --format yaml/],
      ['roost config device remove c1 da', /roost config device remove c1 data/],
    ] as const) {
      type(typed, 'Tab');
      await shows(expected);
      press('C-u');
      await shows(/^ready>\s*$/m);
    }
  });

  it('hands connections on to a port of an instance, until Ctrl-C', async () => {
    must(target, 'lxc exec c1 -- sh -c "ip link set lo up; mkdir -p /www; echo forwarded >/www/index.html; httpd -p 127.0.0.1:8099 -h /www"');
    tmux('respawn-pane', '-k', '-t', 'main', 'bash --norc --noprofile');
    type("PS1='ready> '; clear");
    await shows(/^ready>\s*$/m);
    type('roost port-forward c1 0:8099 0:8098');
    const [, port, dead] = /Forwarding 127\.0\.0\.1:(\d+) to port 8099 of "c1"\s+Forwarding 127\.0\.0\.1:(\d+) to port 8098/.exec(await shows(/to port 8098/))!;
    for (let round = 0; round < 3; round++) expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('forwarded\n');
    await expect(fetch(`http://127.0.0.1:${dead}/`)).rejects.toThrow();
    press('C-c');
    await shows(/ready>\s*$/m);
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    type('roost port-forward c1 80; roost port-forward nosuch 0:80');
    await shows(/"80" is not \[<address>:\]<port>:<port>[\s\S]*Instance not found/);
  });

  it('refuses to show the screen of what has none', async () => {
    await clear();
    type('roost console c1 --type vga');
    await shows(/Error: .*VGA/i);
    type('roost console c1 --type banana');
    await shows(/Error: Unknown output type "banana"/);
  });

  it('shows what runs, live, until q', async () => {
    tmux('respawn-pane', '-k', '-t', 'main', 'bash --norc --noprofile');
    type("PS1='ready> '; clear");
    await shows(/^ready>\s*$/m);
    type('roost top --interval 1');
    await shows(/1 running[\s\S]*NAME[\s\S]*c1/);
    press('n');
    press('q');
    await shows(/ready>\s*$/m);
  });
});
