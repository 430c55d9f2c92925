import {
  mountSetattrExists, namespaceAddressesWork, namespacedFileCapabilitiesWork, seccompContinueWorks, seccompListenerWorks, ueventInjectionWorks,
} from '#host';

/**
 * What `environment.kernel_features` says, each asked of the running kernel. `fileSystems` is the text of /proc/filesystems;
 * capabilities of files are tried in `directory`.
 */
export function probeKernelFeatures(fileSystems: string, directory: string): Record<string, string> {
  const features = {
    idmapped_mounts: mountSetattrExists(), netnsid_getifaddrs: namespaceAddressesWork(), seccomp_listener: seccompListenerWorks(),
    seccomp_listener_continue: seccompContinueWorks(), shiftfs: fileSystems.split(/\s+/).includes('shiftfs'), uevent_injection: ueventInjectionWorks(),
    unpriv_fscaps: namespacedFileCapabilitiesWork(directory),
  };
  return Object.fromEntries(Object.entries(features).map(([name, works]) => [name, String(works)]));
}
