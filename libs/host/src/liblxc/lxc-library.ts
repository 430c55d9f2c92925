import koffi from 'koffi';

/** Extensions of liblxc's API that `environment.lxc_features` tells of. */
const extensions = [
  'cgroup2', 'core_scheduling', 'devpts_fd', 'idmapped_mounts_v2', 'mount_injection_file', 'network_gateway_device_route', 'network_ipvlan',
  'network_l2proxy', 'network_phys_macvlan_mtu', 'network_veth_router', 'pidfd', 'seccomp_allow_deny_syntax', 'seccomp_notify',
  'seccomp_proxy_send_notify_fd',
] as const;

interface LxcFunctions {
  readonly version: () => string;
  readonly hasExtension: (name: string) => boolean;
}

/** What the installed liblxc says of itself. Containers are run by LXC's tools; this only asks the library they share. */
export class LxcLibrary {
  private loaded: LxcFunctions | null | undefined;

  /** Empty where the library is not installed. */
  version(): string {
    return this.functions()?.version() ?? '';
  }

  /** `true` or `false` by extension, as texts. */
  features(): Record<string, string> {
    const functions = this.functions();
    return Object.fromEntries(extensions.map((name) => [name, String(functions?.hasExtension(name) ?? false)]));
  }

  private functions(): LxcFunctions | null {
    if (this.loaded !== undefined) return this.loaded;
    try {
      const library = koffi.load('liblxc.so.1');
      this.loaded = { version: library.func('const char *lxc_get_version()'), hasExtension: library.func('bool lxc_has_api_extension(const char *name)') };
    } catch {
      this.loaded = null; // Not installed: this host runs no containers.
    }
    return this.loaded;
  }
}
