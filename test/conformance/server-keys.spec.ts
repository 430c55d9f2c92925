import { afterAll, beforeAll, describe, it } from 'vitest';
import { same, type CompareOptions } from '../support/compare.js';
import { must, Pair } from '../support/pair.js';
import { unmet } from '../support/needs.js';
import { Target } from '../support/target.js';

/** What the server's own keys, and those of projects in their place, do is what they do with LXD. What they may be set to: config-keys.spec.ts. */
describe.skipIf(unmet('keys of the server', Target.whyNotBoth()))('keys of the server', () => {
  const pair = new Pair();
  const options: CompareOptions = {
    env: ({ kind }) => ({ API: kind === 'lxd' ? '127.27.1.1:8443' : '127.27.1.2:8443', METRICS: kind === 'lxd' ? '127.27.1.1:9100' : '127.27.1.2:9100' }),
    normalise: (text) => text.replaceAll(/127\.27\.1\.[12]/g, '<address>'),
  };

  beforeAll(async () => {
    await pair.start();
    pair.prepare();
    for (const target of pair.both) must(target, `lxc init bb c1 -q && lxc project create pk -c features.profiles=false && lxc image import ${pair.image} --alias bb --project pk`);
  });
  afterAll(() => pair.destroy());

  function lines(title: string, commands: string): void {
    describe(title, () => {
      for (const command of commands.split('\n').map((line) => line.trim()).filter((line) => line !== '')) it(command, () => { same(pair.roost, pair.lxd, command, options); });
    });
  }

  const cors = 'grep -iE "^(HTTP|access-control)" | tr -d "\\r" | tr A-Z a-z | sort';
  lines('for browsers', `
    lxc config set core.https_address $API
    curl --http1.1 -sk -D - -o /dev/null -H 'Origin: http://a' https://$API/1.0 | ${cors}
    lxc config set core.https_allowed_origin=http://a core.https_allowed_methods='GET, PUT' core.https_allowed_headers=X-A core.https_allowed_credentials=true
    curl --http1.1 -sk -D - -o /dev/null -H 'Origin: http://a' https://$API/1.0 | ${cors}
    curl --http1.1 -sk -D - -o /dev/null -X OPTIONS -H 'Origin: http://b' https://$API/1.0/instances | ${cors}
    lxc config unset core.https_allowed_credentials
    curl --http1.1 -sk -D - -o /dev/null -H 'Origin: http://a' https://$API/1.0 | ${cors}
    lxc config unset core.https_allowed_origin; lxc config unset core.https_allowed_methods; lxc config unset core.https_allowed_headers
    curl --http1.1 -sk -D - -o /dev/null -H 'Origin: http://a' https://$API/1.0 | ${cors}
  `);

  lines('for metrics', `
    lxc config set core.metrics_address $METRICS
    curl -sk https://$METRICS/1.0/metrics
    curl -sk https://$METRICS/
    curl -sk -o /dev/null -w '%{http_code}' https://$METRICS/1.0
    curl --http1.1 -sk -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==' https://$METRICS/1.0/events
    curl -sk https://$API/1.0/metrics
    lxc config set core.metrics_authentication=false
    curl -sk https://$METRICS/1.0/metrics | grep -c '^# HELP lxd_operations_total'
    curl -sk -o /dev/null -w '%{http_code}' https://$METRICS/1.0/instances
    curl -sk -o /dev/null -w '%{http_code}' https://$API/1.0/metrics
    lxc config set core.metrics_authentication=true
    curl -sk -o /dev/null -w '%{http_code}' https://$METRICS/1.0/metrics
    lxc config unset core.metrics_address
    curl -sk https://$METRICS/1.0/metrics; echo $?
  `);

  lines('for trust', `
    lxc config set core.remote_token_expiry=1S
    lxc config trust add --name late >/dev/null; sleep 2; lxc config trust list-tokens -f csv | cut -d, -f1
    lxc config unset core.remote_token_expiry
    lxc config trust add --name kept >/dev/null; lxc config trust list-tokens -f csv | cut -d, -f1,3
    lxc config trust revoke-token kept
    lxc config unset core.https_address
  `);

  const kind = 'head -c 6 | od -An -tx1 | cut -c1-6';
  lines('for archives', `
    lxc publish c1 --alias gz -q >/dev/null; cat $LXD_DIR/images/$(lxc image info gz | sed -n 's/^Fingerprint: //p') | ${kind}
    lxc config set images.compression_algorithm=xz
    lxc publish c1 --alias xz -q >/dev/null; cat $LXD_DIR/images/$(lxc image info xz | sed -n 's/^Fingerprint: //p') | ${kind}
    lxc project set pk images.compression_algorithm=bzip2
    lxc init bb p1 -q --project pk; lxc publish p1 --alias bz -q --project pk >/dev/null; cat $LXD_DIR/images/$(lxc image info bz --project pk | sed -n 's/^Fingerprint: //p') | ${kind}
    lxc config set backups.compression_algorithm=xz
    lxc export c1 - -q 2>/dev/null | ${kind}
    lxc project set pk backups.compression_algorithm=bzip2
    lxc query --wait -X POST -d '{"name":"b0"}' '/1.0/instances/p1/backups?project=pk' >/dev/null; curl -s --unix-socket $LXD_DIR/unix.socket 'http://x/1.0/instances/p1/backups/b0/export?project=pk' | ${kind}
    lxc query --wait -X POST -d '{"name":"b1"}' '/1.0/instances/c1/backups' >/dev/null; curl -s --unix-socket $LXD_DIR/unix.socket 'http://x/1.0/instances/c1/backups/b1/export' | ${kind}
    lxc config unset backups.compression_algorithm; lxc config unset images.compression_algorithm
    lxc delete p1 --project pk; lxc image delete bz bb --project pk; lxc project delete pk
  `);
});
