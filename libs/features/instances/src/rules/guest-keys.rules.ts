/** Keys an instance may read of its own configuration. */
export function isPublicGuestKey(key: string): boolean {
  return key.startsWith('user.') || key.startsWith('cloud-init.');
}
