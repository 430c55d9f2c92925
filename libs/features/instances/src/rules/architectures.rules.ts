/** Names of architectures in LXD's API. */
const known = new Set([
  'i686', 'x86_64', 'armv7l', 'aarch64', 'ppc', 'ppc64', 'ppc64le', 's390x', 'mips', 'mips64', 'riscv32', 'riscv64',
]);
const aliases = new Set(['i386', 'i586', 'amd64', 'arm', 'armhf', 'arm64', 'powerpc', 'ppc64el', 'armv8l']);

export function isKnownArchitecture(name: string): boolean {
  return known.has(name) || aliases.has(name);
}

/** LXD's number of an architecture, as its migrations have it; 0 for one it does not know. */
export function architectureNumber(name: string): number {
  return [...known].indexOf(name) + 1;
}
