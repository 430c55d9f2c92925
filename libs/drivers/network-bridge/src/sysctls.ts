import { readdir, readFile, writeFile } from 'node:fs/promises';
import type { Logger } from '#kernel';
import type { BridgePlan } from './bridge-plan.rules.js';

const root = '/proc/sys/net';

/** False on a kernel (or in a container) without IPv6. */
export async function hasIpv6(): Promise<boolean> {
  return (await readSetting('ipv6/conf/all/forwarding')) !== null;
}

/**
 * Kernel settings of a managed bridge: the host forwards for it, and on the bridge itself it neither configures itself nor tests its
 * own addresses. Settings this host does not have or protects are logged and left.
 */
export async function applySettings(plan: BridgePlan, logger: Logger): Promise<void> {
  const set = (setting: string, value: string): Promise<void> => writeSetting(setting, value, logger);
  if (plan.ipv4 !== '' && plan.ipv4Routing) await set('ipv4/ip_forward', '1');
  if (!(await hasIpv6())) return;
  if (plan.ipv6 === '') return set(`ipv6/conf/${plan.name}/disable_ipv6`, '1');
  await set(`ipv6/conf/${plan.name}/disable_ipv6`, '0');
  await set(`ipv6/conf/${plan.name}/autoconf`, '0');
  await set(`ipv6/conf/${plan.name}/accept_dad`, '0');
  if (plan.ipv6Routing) await forwardIpv6(logger);
}

/** A router ignores router advertisements unless told otherwise; the host must go on learning its own default route from them. */
async function forwardIpv6(logger: Logger): Promise<void> {
  if ((await readSetting('ipv6/conf/all/forwarding')) === '1') return;
  const links = await readdir(`${root}/ipv6/conf`);
  await Promise.all(links.map(async (link) => {
    if ((await readSetting(`ipv6/conf/${link}/accept_ra`)) === '1') await writeSetting(`ipv6/conf/${link}/accept_ra`, '2', logger);
  }));
  await writeSetting('ipv6/conf/all/forwarding', '1', logger);
}

/** Content without its newline, or null where the setting does not exist. */
export async function readSetting(setting: string): Promise<string | null> {
  try {
    return (await readFile(`${root}/${setting}`, 'utf8')).trim();
  } catch {
    return null; // The kernel has no such setting.
  }
}

async function writeSetting(setting: string, value: string, logger: Logger): Promise<void> {
  if ((await readSetting(setting)) === value) return;
  try {
    await writeFile(`${root}/${setting}`, value);
  } catch (error) {
    logger.warn('Cannot change a kernel setting', { setting: `net/${setting}`, value, error: String(error) });
  }
}
