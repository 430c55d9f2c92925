import { afterAll, beforeAll, describe, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';
import { Target } from '../support/target.js';

/** Metadata and templates of containers, on Roost and on real LXD: by request, by `lxc config metadata` and `template`, and what is rendered of an image's templates when. */
const pair = new Pair();

const template = '{{ path }} {{ trigger }} {{ container.name }} {{ instance.type }} {{ container.privileged }} {{ config_get("user.greeting", properties.default) }} {% for k, v in devices %}{{ k }}={{ v.path }}{% endfor %}{% if config_get("image.os", "") == "Busybox" %} busybox{% endif %}';
const metadata = `
architecture: x86_64
creation_date: 1778186025
properties: {os: Busybox}
templates:
${['create', 'copy', 'rename', 'start'].map((when) => `  /etc/t-${when}: {when: [${when}], template: t.tpl, properties: {default: none}}`).join('\n')}
  /etc/t-all: {when: [create, copy, rename, start], template: t.tpl, properties: {default: none}}
  /etc/passwd: {when: [create], create_only: true, template: t.tpl}
  /new/dir/file: {when: [create], create_only: true, template: t.tpl}
`;

beforeAll(async () => {
  await pair.start();
  pair.prepare();
  for (const target of pair.both) {
    must(target, `mkdir img && cd img && tar xzf ${pair.image} && mkdir templates && printf '%s' '${template}' >templates/t.tpl && printf '%s' '${metadata}' >metadata.yaml && tar czf ../with.tar.gz metadata.yaml templates rootfs`);
    must(target, 'lxc image import with.tar.gz --alias with');
    must(target, 'lxc init bb plain -q; lxc init --empty empty -q');
  }
});
afterAll(() => pair.destroy());

const shell = `
ask() { method=$1 path=$2; shift 2
  curl -gsi --max-time 10 --unix-socket "$LXD_DIR/unix.socket" -X "$method" -H 'Content-Type: application/octet-stream' "$@" "http://x/1.0/instances/$path" |
    tr -d '\\r' | sed 's/^[A-Za-z-]*:/\\L&/' | grep -aviE '^(date|etag|content-length|last-modified|x-content-type|connection|keep-alive|transfer-encoding|content-type: application/)' | sort; }
shown() { for f in t-create t-copy t-rename t-start t-all passwd; do lxc file pull $1/etc/$f - 2>&1; echo; done; lxc file pull $1/new/dir/file -; ls -l; }
`.replace('; ls -l', '');

const options: CompareOptions = { normalise: (text) => text.replaceAll(/Remapping container filesystem */g, '').replaceAll(/^ +/gm, '').trim() };

const lines = `
  ask GET plain/metadata
  ask GET empty/metadata
  ask GET none/metadata
  ask GET plain/metadata/templates
  ask GET empty/metadata/templates
  ask GET 'plain/metadata/templates?path=x'
  ask POST 'plain/metadata/templates?path=a.tpl' -d 'hello {{ x }}'
  ask POST 'plain/metadata/templates?path=b.tpl' -d second
  ask POST 'plain/metadata/templates?path=a.tpl' -d 'shorter'
  ask GET 'plain/metadata/templates?path=a.tpl'
  ask GET plain/metadata/templates
  ask POST plain/metadata/templates -d x
  ask DELETE plain/metadata/templates
  ask POST 'plain/metadata/templates?path=../x' -d x
  ask GET 'plain/metadata/templates?path=../metadata.yaml'
  ask GET 'plain/metadata/templates?path=/x'
  ask POST 'plain/metadata/templates?path=x/y' -d x
  ask DELETE 'plain/metadata/templates?path=b.tpl'
  ask DELETE 'plain/metadata/templates?path=b.tpl'
  ask PUT plain/metadata -d '{}'
  ask GET plain/metadata
  ask PUT plain/metadata -d '{"architecture":"x","creation_date":5,"properties":{"b":"c","a":"b"},"templates":{"/etc/x":{"when":["start"],"template":"b.tpl","create_only":true,"properties":{"q":"r"}}}}'
  ask GET plain/metadata
  lxc config metadata show plain
  ask PATCH plain/metadata -d '{"properties":{"c":"d"}}'
  ask GET plain/metadata
  ask PUT plain/metadata -d '{"properties":{"c":5}}'
  ask PUT plain/metadata -d 'x'
  ask PUT plain/metadata -d ''
  printf 'architecture: y\\nproperties:\\n  k: v\\n' | lxc config metadata edit plain; lxc config metadata show plain
  printf 'template text' | lxc config template create plain c.tpl; lxc config template list plain
  printf 'template text' | lxc config template edit plain c.tpl; lxc config template show plain c.tpl
  lxc config template show plain none
  lxc config template delete plain c.tpl; lxc config template list plain
  lxc config template delete plain c.tpl
  lxc config template create plain d.tpl </dev/null; lxc config template list plain -f csv
  lxc monitor --type=lifecycle --format=json >log & sleep 1; ask GET plain/metadata >/dev/null; ask PUT plain/metadata -d '{}' >/dev/null; ask POST 'plain/metadata/templates?path=e' -d x >/dev/null; ask GET 'plain/metadata/templates?path=e' >/dev/null; ask DELETE 'plain/metadata/templates?path=e' >/dev/null; sleep 1; kill %1; sed 's/"timestamp":"[^"]*"//; s/"location":"[^"]*",*//' log
  lxc init with t1 -q -c user.greeting=hello; lxc config get t1 volatile.apply_template
  lxc start t1; lxc config get t1 volatile.apply_template; shown t1
  lxc file delete t1/etc/t-create t1/etc/t-start; lxc restart -f t1; shown t1
  lxc stop -f t1; lxc rename t1 t2; lxc config get t2 volatile.apply_template; lxc start t2; shown t2
  lxc stop -f t2; lxc copy t2 t3 -q; lxc config get t3 volatile.apply_template; lxc config unset t3 user.greeting; lxc start t3; shown t3
  lxc launch with t4 -q -c security.privileged=true; shown t4
  lxc init with t5 -q; lxc rename t5 t6; lxc config get t6 volatile.apply_template; lxc start t6; shown t6
`.split('\n').map((line) => line.trim()).filter((line) => line !== '');

describe.skipIf(Target.whyNotBoth() !== '')('metadata and templates', () => {
  for (const line of lines) it(line, () => { same(pair.roost, pair.lxd, `${shell}\n${line}`, options); });
});
