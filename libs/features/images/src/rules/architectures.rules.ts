/** Kernel's name of each architecture LXD knows, with the other names it goes by (Debian's and the like). */
const aliases: Readonly<Record<string, readonly string[]>> = {
  i686: ['i386', 'i586', '386', 'x86', 'generic_32'],
  x86_64: ['amd64', 'generic_64'],
  armv6l: ['armel'],
  armv7l: ['arm', 'armhf', 'armhfp', 'armv7a_hardfp', 'armv7', 'armv7a_vfpv3_hardfp'],
  armv8l: [],
  aarch64: ['arm64', 'arm64_generic'],
  ppc: ['powerpc'],
  ppc64: ['powerpc64', 'ppc64'],
  ppc64le: ['ppc64el'],
  s390x: [],
  mips: ['mipsel', 'mipsle'],
  mips64: ['mips64el', 'mips64le'],
  riscv32: [],
  riscv64: [],
};

const names = new Map(Object.entries(aliases).flatMap(([name, others]) => [[name, name] as const, ...others.map((other) => [other, name] as const)]));

/** The kernel's name (`x86_64`) of an architecture by any of its names; undefined for an unknown one. */
export function architectureName(text: string): string | undefined {
  return names.get(text);
}

/** 32-bit architectures a 64-bit host runs as well. */
const personalities: Readonly<Record<string, readonly string[]>> = {
  x86_64: ['i686'], aarch64: ['armv7l', 'armv8l', 'armv6l'], armv7l: ['armv6l'], armv8l: ['armv7l', 'armv6l'], ppc64: ['ppc'], mips64: ['mips'], riscv64: ['riscv32'],
};

const nodeNames: Readonly<Record<string, string>> = { x64: 'x86_64', ia32: 'i686', arm64: 'aarch64', arm: 'armv7l', ppc64: 'ppc64le', s390x: 's390x', riscv64: 'riscv64', loong64: 'loongarch64' };

/** What this host runs, the preferred one first. `arch` is Node's `process.arch`. */
export function hostArchitectures(arch: string): string[] {
  const name = nodeNames[arch] ?? arch;
  return [name, ...(personalities[name] ?? [])];
}
