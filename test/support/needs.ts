/**
 * For `describe.skipIf(unmet(...))`: tests that need something of the machine say what. Where it is missing the reason is printed and they
 * are skipped; with `REQUIRED_TESTS=1`, as in CI, the file fails instead, so that nothing stops being tested without anybody noticing.
 * `reason` is empty when the need is met.
 */
export function unmet(tests: string, reason: string): boolean {
  if (reason === '') return false;
  if (process.env['REQUIRED_TESTS'] === '1') throw new Error(`${tests} must run here, but ${reason}`);
  process.stderr.write(`skipped: ${tests}: ${reason}\n`);
  return true;
}

/** Empty for root, else the reason for `unmet`. */
export const needsRoot = process.getuid?.() === 0 ? '' : 'root is needed';
