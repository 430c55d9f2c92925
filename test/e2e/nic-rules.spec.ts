import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Member } from '../support/member.js';
import { must } from '../support/pair.js';

/** Rates and filters of a NIC: on the host while the container runs, changed while it runs, gone when it stops. */
const bridge = 'nrbr-r';
const member = new Member();

beforeAll(async () => {
  await member.startWith({ bridge });
  must(member, `ip link add ${bridge}2 type bridge`);
});
afterAll(async () => {
  member.run(`ip link delete ${bridge}2`);
  expect(await member.destroy()).toEqual([]);
});

const hostName = (): string => must(member, 'lxc config get c1 volatile.eth0.host_name').trim();
const chains = (): string => member.run('nft list table bridge roost').stdout;

describe('limits.ingress', () => {
  it('shapes the host end of the cable, and follows a change', () => {
    must(member, 'lxc init bb c1');
    must(member, 'lxc config device override c1 eth0 limits.ingress=10Mbit');
    must(member, 'lxc start c1');
    expect(must(member, `tc class show dev ${hostName()}`)).toContain('rate 10Mbit');

    must(member, 'lxc config device set c1 eth0 limits.ingress=20Mbit');
    expect(must(member, `tc class show dev ${hostName()}`)).toContain('rate 20Mbit');

    must(member, 'lxc config device unset c1 eth0 limits.ingress');
    expect(must(member, `tc qdisc show dev ${hostName()}`)).not.toContain('htb');
  });
});

describe('security.port_isolation', () => {
  it('keeps ports apart, also one that is plugged in or changed while the container runs', () => {
    const isolated = (device: string): string => must(member, `cat /sys/class/net/$(lxc config get c1 volatile.${device}.host_name)/brport/isolated`).trim();
    must(member, `lxc config device add c1 more nic nictype=bridged parent=${bridge}2 name=eth1 security.port_isolation=true`);
    expect([isolated('eth0'), isolated('more')]).toEqual(['0', '1']);

    must(member, 'lxc config device set c1 eth0 security.port_isolation=true');
    must(member, 'lxc config device set c1 more security.port_isolation=false');
    expect([isolated('eth0'), isolated('more')]).toEqual(['1', '0']);
    must(member, 'lxc config device remove c1 more');
    must(member, 'lxc config device unset c1 eth0 security.port_isolation');
  });
});

describe('security.mac_filtering', () => {
  it('lets nothing but the NIC’s own address through while it runs', () => {
    must(member, 'lxc config device set c1 eth0 security.mac_filtering=true');
    expect(chains()).toContain('chain in.c1.eth0');
    expect(chains()).toContain(must(member, 'lxc config get c1 volatile.eth0.hwaddr').trim());

    must(member, 'lxc stop c1 --force');
    expect(chains()).not.toContain('c1.eth0');

    must(member, 'lxc start c1');
    expect(chains()).toContain('chain fwd.c1.eth0');
    must(member, 'lxc delete -f c1');
    expect(chains()).not.toContain('c1.eth0');
  });
});

describe('forwards and access lists of a network', () => {
  const listen = '10.135.91.9';
  const inet = (): string => member.run('nft list table inet roost').stdout;
  const inside = (): string => /^[^/]*/.exec(must(member, `lxc network get ${bridge} ipv4.address`))![0].replace(/\d+$/, '77');

  it('reach the host with a container that turns round to itself, and outlive the daemon and a flush', async () => {
    must(member, 'lxc init bb c3');
    must(member, `lxc network forward create ${bridge} ${listen} target_address=${inside()}`);
    must(member, `lxc config device override c3 eth0 ipv4.address=${inside()}`);
    must(member, 'lxc network acl create nrweb');
    must(member, 'lxc network acl rule add nrweb ingress action=drop source=198.51.100.0/24');
    must(member, `lxc network set ${bridge} security.acls=nrweb`);
    must(member, 'lxc start c3');
    const mode = must(member, 'cat /sys/class/net/$(lxc config get c3 volatile.eth0.host_name)/brport/hairpin_mode').trim();
    // Only where bridged packets pass the host's filters a packet is turned round within the bridge.
    expect(mode).toBe(member.run('cat /proc/sys/net/bridge/bridge-nf-call-iptables').stdout.trim() === '1' ? '1' : '0');

    await member.stop(true);
    for (const kind of ['fwdprert', 'fwdout', 'fwdpstrt', 'aclin', 'aclout', 'aclfwd', 'acl']) member.run(`nft flush chain inet roost ${kind}.${bridge}`);
    await member.start();
    await expect.poll(inet, { timeout: 30_000 }).toContain(`ip daddr ${listen} dnat ip to ${inside()}`);
    expect(inet()).toContain(`oifname "${bridge}" ip saddr 198.51.100.0/24 drop`);

    must(member, `lxc network forward delete ${bridge} ${listen}`);
    must(member, `lxc network unset ${bridge} security.acls`);
    expect(inet()).not.toMatch(new RegExp(`(acl|fwd(prert|out|pstrt))\\.${bridge}`));
    must(member, 'lxc network acl delete nrweb');
    must(member, 'lxc delete -f c3');
  }, 90_000);
});
