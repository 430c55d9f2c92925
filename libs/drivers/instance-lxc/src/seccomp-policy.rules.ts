import { isFalse, isTrue } from '#kernel';

/** System calls that no container needs and that reach the whole host; LXD's default list. */
const defaultDenied = [
  'reject_force_umount  # comment this to allow umount -f;  not recommended',
];
const defaultDeniedWithErrno = ['kexec_load', 'open_by_handle_at', 'init_module', 'finit_module', 'delete_module'];
const compatDenied = [
  '[%arch%]', 'compat_sys_rt_sigaction errno 38', 'stub_x32_rt_sigreturn errno 38', 'compat_sys_ioctl errno 38', 'compat_sys_readv errno 38',
  'compat_sys_writev errno 38', 'compat_sys_recvfrom errno 38', 'compat_sys_sendmsg errno 38', 'compat_sys_recvmsg errno 38',
  'stub_x32_execve errno 38', 'compat_sys_ptrace errno 38', 'compat_sys_rt_sigpending errno 38', 'compat_sys_rt_sigtimedwait errno 38',
  'compat_sys_rt_sigqueueinfo errno 38', 'compat_sys_sigaltstack errno 38', 'compat_sys_timer_create errno 38',
  'compat_sys_mq_notify errno 38', 'compat_sys_kexec_load errno 38', 'compat_sys_waitid errno 38',
  'compat_sys_set_robust_list errno 38', 'compat_sys_get_robust_list errno 38', 'compat_sys_vmsplice errno 38', 'compat_sys_move_pages errno 38',
  'compat_sys_preadv64 errno 38', 'compat_sys_pwritev64 errno 38', 'compat_sys_rt_tgsigqueueinfo errno 38', 'compat_sys_recvmmsg errno 38',
  'compat_sys_sendmmsg errno 38', 'compat_sys_process_vm_readv errno 38', 'compat_sys_process_vm_writev errno 38', 'compat_sys_setsockopt errno 38',
  'compat_sys_getsockopt errno 38', 'compat_sys_io_setup errno 38', 'compat_sys_io_submit errno 38', 'stub_x32_execveat errno 38',
];
const ENOSYS = 38;

/** What the filter lets no container of intercepted calls do: add filters that would be asked first. */
const noFiltersAbove = ['seccomp errno 22 [1,2146435072,SCMP_CMP_MASKED_EQ,2146435072]', 'seccomp errno 22 [1,8,SCMP_CMP_MASKED_EQ,8]'];
/** Rules by `security.syscalls.intercept.*`, in LXD's order: character and block devices, attributes of one byte, mounts that are new. */
const interceptions: Readonly<Record<string, readonly string[]>> = {
  mknod: [
    'mknod notify [1,8192,SCMP_CMP_MASKED_EQ,61440]', 'mknod notify [1,24576,SCMP_CMP_MASKED_EQ,61440]',
    'mknodat notify [2,8192,SCMP_CMP_MASKED_EQ,61440]', 'mknodat notify [2,24576,SCMP_CMP_MASKED_EQ,61440]',
  ],
  sched_setscheduler: ['sched_setscheduler notify'],
  setxattr: ['setxattr notify [3,1,SCMP_CMP_EQ]'],
  mount: [
    'mount notify [3,0,SCMP_CMP_MASKED_EQ,18446744070422410016]',
    ...['fsopen', 'fsconfig', 'fsinfo', 'fsmount', 'fspick', 'open_tree', 'move_mount', 'openat2'].map((name) => `${name} errno 38`),
  ],
  bpf: ['bpf notify [0,5,SCMP_CMP_EQ]', 'bpf notify [0,8,SCMP_CMP_EQ]', 'bpf notify [0,9,SCMP_CMP_EQ]'],
};

type Config = Readonly<Record<string, string>>;

/** Rules that send calls to a process of ours; none for a privileged container, for which the kernel does them itself. */
export function interceptedCalls(config: Config): string[] {
  if (isTrue(config['security.privileged']) || config['raw.seccomp']) return [];
  const rules = Object.keys(interceptions).filter((name) => isTrue(config[`security.syscalls.intercept.${name}`])).flatMap((name) => interceptions[name]!);
  return rules.length === 0 ? [] : [...noFiltersAbove, ...rules];
}

/** What the helper that carries calls out may do for an instance, a line each (libs/host/native/syscalls-mount.c). */
export function interceptionSettings(config: Config): string {
  const list = (name: string): string[] => (config[`security.syscalls.intercept.${name}`] ?? '').split(',').map((entry) => entry.trim()).filter((entry) => entry !== '');
  const mounts = isTrue(config['security.syscalls.intercept.mount']) ? [
    ...list('mount.allowed').map((type) => `allowed ${type}`),
    ...list('mount.fuse').map((pair) => `fuse ${pair.replace('=', ' ')}`),
    ...(isTrue(config['security.syscalls.intercept.mount.shift']) ? ['shift'] : []),
  ] : [];
  const lines = [...mounts, ...(isTrue(config['security.syscalls.intercept.bpf.devices']) ? ['bpf-devices'] : [])];
  return lines.map((line) => `${line}\n`).join('');
}

/** LXC's seccomp policy file for an instance, from `raw.seccomp` or the `security.syscalls.*` keys (with their older names). */
export function seccompPolicy(config: Config, machine: string): string {
  const raw = config['raw.seccomp'];
  if (raw) return raw;
  const either = (key: string, older: string): string => config[`security.syscalls.${key}`] ?? config[`security.syscalls.${older}`] ?? '';
  const intercepted = interceptedCalls(config);
  const allow = either('allow', 'whitelist');
  if (allow !== '') return `${['2', 'allowlist', '[all]', allow.trimEnd(), ...intercepted].join('\n')}\n`;
  const lines = ['2', 'denylist', '[all]'];
  if (!isFalse(either('deny_default', 'blacklist_default'))) {
    lines.push(...defaultDenied, '[all]', ...defaultDeniedWithErrno.map((name) => `${name} errno ${ENOSYS}`));
  }
  lines.push(...intercepted);
  if (isTrue(either('deny_compat', 'blacklist_compat'))) lines.push(...compatDenied.map((line) => line.replace('%arch%', machine)));
  const deny = either('deny', 'blacklist');
  if (deny !== '') lines.push(deny);
  return `${lines.join('\n')}\n`;
}
