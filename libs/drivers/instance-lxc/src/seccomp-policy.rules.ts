import { isFalse, isTrue, notImplemented } from '#kernel';

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
];
const ENOSYS = 38;

/**
 * LXC's seccomp policy file for an instance, from `raw.seccomp` or the `security.syscalls.*` keys (with their older names).
 * `security.syscalls.intercept.*` needs a process that answers for the kernel: `not-implemented`.
 */
export function seccompPolicy(config: Readonly<Record<string, string>>, machine: string): string {
  const raw = config['raw.seccomp'];
  if (raw) return raw;
  const intercepted = Object.keys(config).find((key) => key.startsWith('security.syscalls.intercept.') && isTrue(config[key]));
  if (intercepted !== undefined) throw notImplemented(`System call interception ("${intercepted}") is not supported`);
  const either = (key: string, older: string): string => config[`security.syscalls.${key}`] ?? config[`security.syscalls.${older}`] ?? '';
  const allow = either('allow', 'whitelist');
  if (allow !== '') return `2\nallowlist\n[all]\n${allow}\n`;
  const lines = ['2', 'denylist', '[all]'];
  if (!isFalse(either('deny_default', 'blacklist_default'))) {
    lines.push(...defaultDenied, '[all]', ...defaultDeniedWithErrno.map((name) => `${name} errno ${ENOSYS}`));
  }
  if (isTrue(either('deny_compat', 'blacklist_compat'))) lines.push(...compatDenied.map((line) => line.replace('%arch%', machine)));
  const deny = either('deny', 'blacklist');
  if (deny !== '') lines.push(deny);
  return `${lines.join('\n')}\n`;
}
