/**
 * What a user of the client does, command by command: titles and lists that run in order, on a server with a pool, an image `bb` and a bridge. `$BR` is the
 * bridge, `$IMG` the image's file. Every output must be the same, whichever of two daemons or two clients is asked.
 */
export const clientScripts: readonly (readonly [string, string])[] = [
  ['server configuration', `
  lxc config set core.trust_password secret
  lxc config get core.trust_password
  lxc config show
  lxc config unset core.trust_password
  lxc config set images.auto_update_interval 12
  lxc config get images.auto_update_interval
  lxc config set images.auto_update_interval banana
  lxc config set no.such.key 1
  lxc config set core.https_allowed_origin '*'
  lxc config unset core.https_allowed_origin
  lxc config set user.comment hello
  lxc config show
  lxc config unset user.comment
  lxc config unset images.auto_update_interval
  lxc config get core.nothing
`],
  ['profiles', `
  lxc profile list --format csv
  lxc profile show default
  lxc profile create p1
  lxc profile create p1
  lxc profile set p1 limits.memory 64MiB
  lxc profile set p1 limits.memory lots
  lxc profile set p1 no.such.key 1
  lxc profile get p1 limits.memory
  lxc profile device add p1 data disk source=/tmp path=/data
  lxc profile device add p1 data disk source=/tmp path=/data
  lxc profile device add p1 bad disk source=/tmp
  lxc profile device add p1 bad nic nictype=wrong
  lxc profile device add p1 bad banana
  lxc profile device list p1 | sort
  lxc profile device get p1 data path
  lxc profile device set p1 data readonly true
  lxc profile device show p1
  lxc profile show p1
  lxc profile copy p1 p2
  lxc profile rename p2 p3
  lxc profile rename p1 p3
  lxc profile show p2
  lxc profile device remove p3 data
  lxc profile unset p3 limits.memory
  lxc profile show p3
  printf 'description: edited\\nconfig:\\n  user.x: y\\ndevices: {}\\n' | lxc profile edit p3
  lxc profile show p3
  lxc profile list --format json | python3 -c 'import json,sys; print(sorted((p["name"], p["description"], len(p["used_by"])) for p in json.load(sys.stdin)))'
  lxc profile delete p1
  lxc profile delete p3
  lxc profile delete p3
  lxc profile delete default
  lxc profile rename default other
  lxc profile create 'bad/name'
`],
  ['projects', `
  lxc project list --format csv
  lxc project create blue
  lxc project create blue
  lxc project create green -c features.images=false -c features.profiles=false
  lxc project show green
  lxc project show blue
  lxc project set blue user.owner me
  lxc project get blue user.owner
  lxc project set blue no.such.key 1
  lxc project unset blue user.owner
  lxc project rename blue azure
  lxc project rename default other
  lxc project list --format csv
  lxc project switch azure
  lxc profile list --format csv
  lxc image list --format csv
  lxc project switch default
  lxc list --project nowhere
  lxc project delete green
  lxc project delete azure
  lxc project delete azure
  lxc project delete default
`],
  ['images', `
  lxc image list --format csv -c lfpdats
  lxc image show bb
  lxc image info bb | grep -v -i 'cached\\|created\\|uploaded\\|expires\\|last used\\|never' | sort
  lxc image list --format json | python3 -c 'import json,sys; print([(i["fingerprint"], i["type"], i["public"], i["size"], i["architecture"], i["properties"], [a["name"] for a in i["aliases"]]) for i in json.load(sys.stdin)])'
  lxc image alias list --format csv
  lxc image alias create also $(lxc image list --format csv -c F)
  lxc image alias create also $(lxc image list --format csv -c F)
  lxc image alias rename also too
  lxc image alias list --format csv
  lxc image alias delete too
  lxc image alias delete too
  lxc image set-property bb note hi
  lxc image get-property bb note
  lxc image unset-property bb note
  lxc image export bb out && sha256sum out.tar.gz && rm -f out*
  lxc image import $IMG
  lxc image import /etc/hostname
  lxc image show nosuch
  lxc image delete nosuch
  lxc image delete
  lxc query /1.0/images/aliases/bb
  lxc query /1.0/images?filter=properties.os+eq+Busybox | grep -c images
`],
  ['storage', `
  lxc storage list --format csv | sed "s#,[^,]*storage-pools#,<dir>/storage-pools#"
  lxc storage show default | sed "s#source: .*#source: X#"
  lxc storage create default dir
  lxc storage create bad nosuchdriver
  lxc storage create second dir user.note=x
  lxc storage get second user.note
  lxc storage set second user.note y
  lxc storage set second no.such.key 1
  lxc storage set second source /elsewhere
  lxc storage unset second user.note
  lxc storage volume list second --format csv
  lxc storage volume list default --format csv
  lxc storage info second | sed 's/used: .*/used: X/; s/space: .*/space: X/'
  lxc storage delete default
  lxc storage delete second
  lxc storage delete second
  lxc storage show second
`],
  ['networks', `
  lxc network show $BR
  lxc network list --format csv | grep $BR
  lxc network get $BR ipv4.nat
  lxc network set $BR ipv4.dhcp.ranges 10.98.0.5-10.98.0.6
  lxc network set $BR ipv4.dhcp banana
  lxc network set $BR no.such.key 1
  lxc network set $BR ipv4.address banana
  lxc network set $BR dns.domain example.test
  lxc network get $BR dns.domain
  lxc network unset $BR dns.domain
  lxc network create $BR
  lxc network create toolongnameforalink
  lxc network create 'bad/name'
  lxc network list-leases $BR
  lxc network delete $BR
  lxc network show nosuch
  lxc network delete nosuch
  lxc network rename $BR x$BR
`],
  ['instances: life', `
  lxc init bb c1
  lxc init bb c1
  lxc init nosuch c2
  lxc init bb 'bad_name'
  lxc init bb c2 -c no.such.key=1
  lxc init bb c2 -c limits.memory=lots
  lxc init bb c2 -p nosuch
  lxc init bb c2 --network nosuch
  lxc init bb c2 -s nosuch
  lxc list --format csv -c ns
  lxc list --format csv -c nsPtm4
  lxc list --format csv -c nsdD
  lxc config show c1 | grep -v 'volatile.uuid\\|volatile.eth0.hwaddr\\|cloud-init.instance-id'
  lxc config show c1 -e | grep -v 'volatile.uuid\\|volatile.eth0.hwaddr\\|cloud-init.instance-id'
  lxc start nosuch
  lxc start c1
  lxc start c1
  lxc list --format csv -c nstS
  lxc exec c1 -- true
  lxc config show c1 | grep -v 'volatile.uuid\\|volatile.eth0\\|cloud-init.instance-id\\|last_state.idmap\\|apply_template'
  lxc pause c1
  lxc pause c1
  lxc list --format csv -c ns
  lxc exec c1 -- true
  lxc start c1
  lxc list --format csv -c ns
  lxc delete c1
  lxc rename c1 c9
  lxc restart c1 --force
  lxc list --format csv -c ns
  lxc stop c1 --force
  lxc stop c1
  lxc pause c1
  lxc exec c1 -- true
  lxc rename c1 c9
  lxc rename c9 c1
  lxc list --format csv -c ns
  lxc delete nosuch
`],
  ['instances: configuration and devices', `
  lxc config set c1 limits.memory 64MiB
  lxc config get c1 limits.memory
  lxc config set c1 limits.memory=128MiB limits.processes=200
  lxc config set c1 limits.cpu banana
  lxc config set c1 no.such.key 1
  lxc config set c1 volatile.made.up 1
  lxc config set c1 user.key value
  lxc config unset c1 user.key
  lxc config unset c1 user.key
  lxc config set c1 security.privileged maybe
  lxc config set c1 boot.autostart true
  lxc config show c1 | grep -v 'volatile.uuid\\|volatile.eth0\\|cloud-init.instance-id\\|last_state.idmap\\|apply_template'
  lxc config device add c1 data disk source=/tmp path=/data
  lxc config device add c1 data disk source=/tmp path=/data
  lxc config device add c1 gone disk source=/no/such/path path=/gone
  lxc config device add c1 rel disk source=/tmp path=rel
  lxc config device add c1 root disk path=/ pool=default
  out=$(lxc config device add c1 root2 disk path=/ pool=default 2>&1); code=$?; echo "$out" | sed 's/"root2*"/"root"/'; exit $code
  lxc config device list c1 | sort
  lxc config device show c1
  lxc config device set c1 data readonly=true
  lxc config device get c1 data readonly
  lxc config device unset c1 data readonly
  lxc config device override c1 eth0 mtu=1400
  lxc config device override c1 eth0 mtu=1400
  lxc config device remove c1 nosuch
  lxc config device remove c1 data
  lxc config device show c1
  lxc config edit c1 </dev/null
  lxc profile create extra
  lxc profile assign c1 default,extra
  lxc profile add c1 extra
  lxc profile remove c1 extra
  lxc profile remove c1 extra
  lxc profile delete extra
  lxc profile show default | sed -n '/used_by/,$p'
  lxc profile delete default
`],
  ['instances: exec', `
  lxc start c1
  lxc exec c1 -- echo hello
  lxc exec c1 -- sh -c 'echo out; echo err >&2; exit 7'
  lxc exec c1 -- sh -c 'kill -9 $$'
  lxc exec c1 -- nosuchcommand
  lxc exec c1 -- /etc/passwd
  lxc exec c1 --env A=b --env C='d e' -- sh -c 'echo $A $C'
  lxc exec c1 --cwd /tmp -- pwd
  lxc exec c1 --cwd /nosuch -- pwd
  lxc exec c1 --user 1000 --group 1000 -- id
  lxc exec c1 -- id
  lxc exec c1 -- env | sort
  echo input | lxc exec c1 -- cat
  head -c 1000000 /dev/zero | lxc exec c1 -- wc -c
  lxc exec c1 -- head -c 3000000 /dev/zero | wc -c
  lxc exec c1 -T -- sh -c 'test -t 0 && echo tty || echo pipe'
  script -qec "lxc exec c1 -t -- sh -c 'test -t 0 && test -t 1 && test -t 2 && exit 9'" /dev/null; echo code $?
  script -qec "lxc exec c1 -t -- sh -c 'exit 5'" /dev/null; echo code $?
  lxc exec nosuch -- true
  sleep 2; lxc console c1 --show-log | sed -n '2p;s/.*\\(c1 login:\\).*/\\1/p' | tr -d '\\r' | uniq
  lxc console nosuch --show-log
  (sleep 1; printf '\\001'; sleep 0.3; printf q; sleep 1) | script -qec 'lxc console c1' out >/dev/null; echo code $?; grep -a detach out; rm out
  script -qec 'lxc console nosuch' /dev/null; echo code $?
  lxc exec c1 -- cat /proc/self/uid_map /proc/self/gid_map
  lxc exec c1 -- hostname
  lxc exec c1 -- ls -l / | awk '{print $1, $3, $4, $9}'
  lxc exec c1 -- sh -c 'echo x >/proc/sysrq-trigger' ; echo $?
  lxc exec c1 -- sh -c 'mount | cut -d" " -f3,5 | grep -v "cgroup\\|lxcfs\\|fuse\\|lxd" | sort -u'
  lxc exec c1 -- sh -c 'ls /dev | grep -v lxd | sort'
  lxc query -X POST -d '{"command":["true"]}' /1.0/instances/nosuch/exec
  lxc query -X POST -d '{"command":["sh","-c","exit 3"],"record-output":true,"wait-for-websocket":false}' --wait /1.0/instances/c1/exec | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d["metadata"]["return"], sorted(d["metadata"]["output"]))'
  lxc stop c1 --force
  script -qec 'lxc console c1' /dev/null; echo code $?
  lxc query -X POST -d '{"type":"banana"}' /1.0/instances/c1/console
  lxc query -X POST -d '{"type":"vga"}' /1.0/instances/c1/console
`],
  ['instances: list and info', `
  lxc list
  lxc list c1 --format yaml | grep '^ *\\(name\\|status\\|type\\|profiles\\|ephemeral\\|architecture\\|stateful\\|description\\|status_code\\|location\\):'
  lxc list --format json | python3 -c 'import json,sys; d=json.load(sys.stdin)[0]; print(sorted(d)); print(sorted(d["state"] or {})); print(d["snapshots"], d["backups"])'
  lxc list c --format csv -c n
  lxc list '^c' --format csv -c n
  lxc list status=stopped --format csv -c ns
  lxc list type=container --format csv -c nt
  lxc list user.none=x --format csv -c n
  lxc list --format csv -c 'n,config:limits.memory:MEM'
  lxc list --format csv -c 'n,zz'
  lxc list --fast
  lxc info c1 | grep -v 'Created\\|Last Used'
  lxc info nosuch
  lxc query /1.0/instances
  lxc query /1.0/containers
  lxc query /1.0/virtual-machines
  lxc query /1.0/instances/c1 | python3 -c 'import json,sys; print(sorted(json.load(sys.stdin)))'
  lxc query '/1.0/instances?recursion=1&filter=name+eq+c1' | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))'
  lxc query '/1.0/instances?recursion=1&filter=name+eq+c2' | python3 -c 'import json,sys; print(len(json.load(sys.stdin)))'
  lxc query '/1.0/instances?filter=name+foo+c2'
  lxc query /1.0/instances/c1/state | python3 -c 'import json,sys; d=json.load(sys.stdin); print(d)'
  lxc query /1.0/instances/c1/logs
  lxc query /1.0/instances/c1/snapshots
  lxc query /1.0/instances/c1/backups
  lxc info c1 --show-log | tail -1
`],
  ['the bare API', `
  lxc query /
  lxc query /1.0/nosuch
  lxc query /2.0
  lxc query -X DELETE /1.0
  lxc query -X POST -d '{' /1.0/profiles
  lxc query -X POST -d '{"name": 5}' /1.0/profiles
  lxc query -X POST -d '{}' /1.0/profiles
  lxc query -X POST -d '{}' /1.0/projects
  lxc query -X POST -d '{}' /1.0/networks
  lxc query -X POST -d '{}' /1.0/storage-pools
  lxc query -X POST -d '{}' /1.0/certificates
  lxc query -X PUT -d '{"action":"dance"}' /1.0/instances/c1/state
  lxc query /1.0/operations/nosuch
  lxc query /1.0/operations/0f1c9bb0-3f3c-4d19-8d6a-0123456789ab
  lxc query /1.0/operations/0f1c9bb0-3f3c-4d19-8d6a-0123456789ab/wait
  lxc query -X DELETE /1.0/operations/0f1c9bb0-3f3c-4d19-8d6a-0123456789ab
  lxc profile create lt && lxc profile set lt user.text 'a<b&c>' && curl -s --unix-socket $LXD_DIR/unix.socket http://x/1.0/profiles/lt; lxc profile delete lt
  curl -s --unix-socket $LXD_DIR/unix.socket -X PUT -d '{"config":{"a<b&c":"x"}}' http://x/1.0
  lxc query /1.0/cluster
  lxc query /1.0/cluster/members
  lxc query /1.0 | python3 -c 'import json,sys; d=json.load(sys.stdin); print(sorted(d), sorted(d["environment"]))'
  lxc query /1.0 | python3 -c 'import json,sys; d=json.load(sys.stdin); e=d["environment"]; print(d["api_status"], d["api_version"], d["auth"], d["auth_methods"], d["public"], e["architectures"], e["driver"], e["driver_version"], e["server"], e["server_version"], e["server_clustered"], e["kernel_features"], e["lxc_features"], e["os_name"], e["firewall"], e["server_name"])'
  curl -s -o /dev/null -w '%{http_code}\\n' --unix-socket $LXD_DIR/unix.socket -X PUT -H 'If-Match: x' -d '{"config":{}}' http://x/1.0/profiles/default
  curl -s --unix-socket $LXD_DIR/unix.socket -X PUT -H 'If-Match: x' -d '{"config":{}}' http://x/1.0/profiles/default
  curl -s --unix-socket $LXD_DIR/unix.socket http://x/1.0/instances/nosuch
  curl -s -i --unix-socket $LXD_DIR/unix.socket http://x/1.0/profiles/nosuch | grep -vi '^date\\|^content-length\\|^connection\\|^keep-alive' | tr -d '\\r' | tr A-Z a-z | sort
  curl -s --unix-socket $LXD_DIR/unix.socket -X PATCH -d '{"config":{"user.a":"b"}}' http://x/1.0/profiles/default
  curl -s --unix-socket $LXD_DIR/unix.socket -X PATCH -d '{"config":{"user.a":""}}' http://x/1.0/profiles/default
  lxc operation show nosuch
`],
  ['instances: the end', `
  lxc launch bb e1 --ephemeral
  lxc list e1 --format csv -c ns
  lxc stop e1 --force
  sleep 0.3; lxc list e1 --format csv -c n
  lxc init --empty e2
  lxc config show e2 | grep -v volatile
  lxc start e2 2>&1 | sed 's/Error: .*/Error/'
  lxc delete e2
  lxc delete c1
  lxc list --format csv
  lxc network list-leases $BR
  lxc profile show default | sed -n '/used_by/,$p'
`],
];
