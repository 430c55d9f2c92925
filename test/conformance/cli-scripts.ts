/** What differs between clients more than between daemons: the words of commands, formats, files, remotes. As `client-scripts.ts`. */
export const cliScripts: readonly (readonly [string, string])[] = [
  ['command lines', `
  lxc foo
  lxc lst
  lxc config foo
  lxc list --bad
  lxc list -x
  lxc list --format
  lxc list -c
  lxc list --format=xx
  lxc stop c1 --timeout x
  lxc stop c1 --force=maybe
  lxc image delete
  lxc rename a
  lxc config device
  lxc network acl rule
  lxc network acl rule foo
  lxc cluster group foo
  lxc alias foo
  lxc --version
  lxc version
  lxc -fcsv list
  lxc list -fcsv -cn --columns=ns
  lxc --project default list -f csv
  lxc list --project
  lxc exec c1
  lxc exec c1 --bad
  lxc query foo
  lxc query /1.0 --project x
  lxc list images:
  lxc list nosuch:
  lxc move c1
  `],
  ['aliases', `
  lxc alias list
  lxc alias add ll 'list -cns'
  lxc alias add ll x
  lxc alias add 'net ls' 'network list -f csv'
  lxc alias list
  lxc alias list -f csv
  lxc alias list -f json
  lxc alias list -f yaml
  lxc ll -f csv
  lxc net ls | grep $BR
  lxc alias rename ll lm
  lxc alias rename ll lm
  lxc alias remove lm
  lxc alias remove lm
  lxc alias rm 'net ls'
  cat $LXD_CONF/config.yml
  `],
  ['remotes', `
  lxc remote list
  lxc remote list -f csv
  lxc remote list -f json
  lxc remote list -f yaml
  lxc remote get-default
  lxc remote add local x
  lxc remote remove local
  lxc remote remove nosuch
  lxc remote rename images img
  lxc remote rename img images
  lxc remote switch nosuch
  lxc remote set-url local https://x
  lxc remote set-url nosuch https://y
  lxc remote switch images
  lxc remote get-default
  lxc remote switch local
  lxc remote add bad http://127.0.0.1:1
  lxc remote add bad 127.0.0.1:1
  lxc remote add xx https://127.0.0.1:1 --protocol foo
  lxc remote add 'a:b' 127.0.0.1:1
  lxc remote add ss https://127.0.0.1:1 --protocol simplestreams
  lxc remote add lo unix://$TARGET_DIR/unix.socket
  lxc list lo: -f csv -c ns
  lxc remote rm lo
  lxc remote rm ss
  cat $LXD_CONF/config.yml
  `],
  ['snapshots, copies, images and backups', `
  lxc init bb s1
  lxc snapshot s1
  lxc snapshot s1 one
  lxc snapshot s1 one
  lxc snapshot s1 one --reuse
  lxc snapshot s1 's/1'
  lxc info s1 | sed -n '/Snap/,$p' | sed 's/|[^|]*UTC[^|]*|/| T |/'
  lxc restore s1 nosuch
  lxc restore s1 one
  lxc rename s1/one s1/two
  lxc rename s1/two two
  lxc rename s1/two s2/three
  lxc move s1/two s1/three
  lxc delete s1/three
  lxc delete s1/three
  lxc copy s1 s2
  lxc copy s1 s2
  lxc copy s1/snap0 s3
  lxc copy s1 s2 --refresh
  lxc list -f csv -c nsS
  lxc move s3 s4
  lxc list -f csv -c nsS
  lxc copy s1 s5 -c user.x=1
  lxc config show s5 | grep -v volatile
  lxc copy s1 s6 -c
  lxc copy nosuch s6
  lxc publish s2 --alias pub x=y | sed 's/fingerprint: .*/fingerprint: X/;s/.*Instance published/Instance published/'
  lxc image get-property pub x
  lxc image show pub | grep -v serial
  lxc image info pub | grep '^Type\\|^Public\\|^Cached\\|^Auto\\|Expires\\|Last used'
  lxc image delete pub
  lxc publish s2 --expire foo
  lxc start s2 2>/dev/null; lxc publish s2 --expire foo; lxc publish s2 --force --expire foo; lxc list s2 -f csv -c s; lxc stop -f s2
  lxc export s2 b.tar.gz >/dev/null; ls b.tar.gz
  lxc delete s2
  lxc import b.tar.gz >/dev/null; lxc list s2 -f csv -c ns
  lxc import b.tar.gz s7 >/dev/null; lxc list s7 -f csv -c ns
  lxc import /nosuch
  printf 'n\\n' | lxc delete s7 -i
  printf 'yes\\n' | lxc delete s7 -i
  lxc delete s1 s2 s4 s5 nosuch
  lxc list -f csv
  `],
  ['files', `
  lxc launch bb f1 >/dev/null; sleep 1
  lxc file push $IMG f1/root/ >/dev/null; lxc exec f1 -- ls -l /root | awk '{print $1, $5, $9}'
  lxc file pull f1/etc/passwd -
  lxc file pull f1/nosuch .
  lxc file push /nosuch f1/x
  lxc file push $IMG f1
  echo hi | lxc file push - f1/root/hi
  lxc file pull f1/root/hi . && cat hi
  lxc file pull f1/etc .
  lxc file pull -r f1/etc . >/dev/null; find etc | sort; rm -r etc hi
  lxc file delete f1/root/hi
  lxc file delete f1/root/hi
  mkdir -p dd/ee; echo a >dd/ee/f; ln -s f dd/ee/l; chmod 640 dd/ee/f; lxc file push -r dd f1/root >/dev/null; lxc exec f1 -- ls -lR /root/dd | awk '{print $1, $3, $4, $9, $11}'; rm -r dd
  lxc file push $IMG f1/a/b/ >/dev/null
  lxc file push -p $IMG f1/a/b/ >/dev/null; lxc exec f1 -- find /a | sort
  lxc file push --mode 0600 --uid 5 --gid 6 $IMG f1/root/q >/dev/null; lxc exec f1 -- ls -ln /root/q | awk '{print $1, $3, $4, $5}'
  lxc file push --mode xx $IMG f1/root/q
  lxc file push $IMG $IMG f1/root/q
  lxc file pull f1/etc/passwd pw >/dev/null; cat pw; rm pw
  lxc file pull f1/etc/passwd f1/etc/group gone/there
  lxc file pull -p f1/etc/passwd gone/there/ >/dev/null; ls gone/there; rm -r gone
  lxc file pull f1 x
  lxc file edit f1
  echo zz | lxc file edit f1/root/zz; lxc file pull f1/root/zz -
  lxc file delete f1
  lxc file mount f1 --listen foo
  lxc config metadata show f1 | grep -v date
  lxc config template list f1
  lxc config template create f1 foo.tpl
  lxc config template list f1
  lxc config template list f1 -f json
  echo text | lxc config template edit f1 foo.tpl
  lxc config template show f1 foo.tpl
  lxc config template delete f1 foo.tpl
  lxc config template delete f1 foo.tpl
  lxc config template show f1 nosuch
  lxc delete -f f1
  `],
  ['networks', `
  lxc init bb n1
  lxc network info $BR | grep -v 'MAC\\|ID:\\|Bytes\\|Packets\\|inet'
  lxc network list-leases $BR
  lxc network attach $BR n1 eth1 eth1
  lxc network attach $BR n1 eth1
  lxc network detach $BR n1 nosuch
  lxc network detach $BR n1
  lxc network detach $BR nosuch
  lxc profile create np
  lxc network attach-profile $BR np
  lxc profile device show np
  lxc network detach-profile $BR np
  lxc network detach-profile $BR np
  lxc profile delete np
  lxc network acl create a1
  lxc network acl rule add a1 ingress action=allow
  lxc network acl rule add a1 foo action=allow
  lxc network acl rule add a1 ingress action
  lxc network acl rule add a1 ingress foo=allow
  lxc network acl rule remove a1 ingress action=drop
  lxc network acl list
  lxc network acl show a1
  lxc network acl rule remove a1 ingress action=allow
  lxc network acl set a1 user.x=y
  lxc network acl get a1 user.x
  lxc network acl unset a1 user.x
  lxc network acl rename a1 a2
  lxc network acl delete a2
  lxc network acl delete a2
  lxc network zone create z.test
  lxc network zone list
  lxc network zone record create z.test www
  lxc network zone record entry add z.test www A 1.2.3.4 --ttl 60
  lxc network zone record list z.test
  lxc network zone record show z.test www
  lxc network zone show z.test
  lxc network zone record entry remove z.test www A 1.2.3.5
  lxc network zone record entry remove z.test www A 1.2.3.4
  lxc network zone record delete z.test www
  lxc network zone delete z.test
  lxc network peer list $BR
  lxc network show lo
  lxc delete n1
  `],
  ['volumes', `
  lxc storage info default | sed 's/used: .*/used: X/; s/space: .*/space: X/'
  lxc storage volume create default v1 user.x=1
  lxc storage volume create default vb --type foo
  lxc storage volume list default -c tndcu -f csv | grep custom
  lxc storage volume show default v1
  lxc storage volume get default v1 user.x
  lxc storage volume set default v1 user.x 2
  lxc storage volume set default v1 user.x=3 user.y=4
  lxc storage volume unset default v1 user.y
  lxc storage volume snapshot default v1
  lxc storage volume snapshot default v1 s1
  lxc storage volume snapshot default v1 s1 --reuse
  lxc storage volume show default v1/s1
  lxc storage volume restore default v1 s1
  lxc storage volume rename default v1/s1 v1/s2
  lxc storage volume rename default v1 v2
  lxc storage volume delete default v2/s2
  lxc init bb w1
  lxc storage volume attach default v2 w1 /mnt/v
  lxc storage volume attach default v2 w1 dev /mnt/w
  lxc storage volume attach default v2 w1
  lxc storage volume detach default v2 w1
  lxc config device show w1
  lxc storage volume detach default v2 w1 dev
  lxc storage volume detach default v2 w1
  lxc storage volume attach-profile default v2 default /mnt/q
  lxc storage volume detach-profile default v2 default
  lxc storage volume copy default/v2 default/v3
  lxc storage volume move default/v3 default/v4
  lxc storage volume export default v2 x.tgz >/dev/null; ls x.tgz
  lxc storage volume import default x.tgz v9 >/dev/null; lxc storage volume list default -f csv -c n | grep v9
  lxc storage volume delete default v2
  lxc storage volume delete default v9
  lxc storage volume delete default v4
  lxc storage volume show default container/w1 | grep -v created_at
  lxc storage volume delete default container/w1
  lxc storage volume copy nosuch x
  lxc storage volume move default/a b
  lxc storage volume set default nosuch size=1
  lxc delete w1
  `],
  ['the rest', `
  lxc operation delete x
  lxc warning show 1
  lxc warning list -c zz
  lxc cluster list
  lxc cluster group list
  lxc cluster add x
  lxc cluster show x
  lxc cluster list-tokens
  lxc cluster role add a b
  lxc cluster evacuate x
  echo no | lxc cluster evacuate x
  lxc cluster remove x
  lxc cluster remove x --force
  lxc cluster revoke-token x
  lxc cluster group assign a b
  lxc cluster restore x
  lxc cluster update-certificate a b
  lxc cluster set a b=c
  lxc cluster get a b
  lxc project create pp -c limits.containers=2
  lxc project info pp
  lxc project switch pp
  lxc project list
  lxc project delete pp
  lxc project list
  lxc config trust list
  lxc config trust show nosuch
  lxc config trust remove nosuch
  lxc config trust add /nosuch
  lxc monitor --loglevel info
  lxc monitor -f foo
  lxc query -X POST -d '{"name":"zzz"}' /1.0/profiles
  lxc query --raw /1.0/profiles
  lxc query -X DELETE /1.0/profiles/zzz
  `],
];
