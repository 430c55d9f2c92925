import type { NftBaseChain } from '#host';

/**
 * One warning for each base chain of somebody else that drops what it does not know on its way through this host: an accept of ours
 * cannot undo it. Each says which command lets a network through.
 */
export function foreignDropWarnings(chains: readonly NftBaseChain[], network: string): string[] {
  const dropping = chains.filter(({ hook, policy, table }) => policy === 'drop' && (hook === 'forward' || hook === 'input') && table !== 'roost');
  return dropping.map(({ family, table, chain, hook }) => {
    const what = hook === 'forward' ? 'traffic forwarded for instances' : 'DHCP and DNS requests of instances';
    return `The ${hook} policy of nftables chain "${family} ${table} ${chain}" is drop, which cuts ${what}; allow it with: ${
      remedy({ family, table, chain, hook, policy: 'drop' }, chains, network)}`;
  });
}

function remedy(drop: NftBaseChain, chains: readonly NftBaseChain[], network: string): string {
  if (drop.table === 'firewalld') return `firewall-cmd --permanent --zone=trusted --add-interface=${network} && firewall-cmd --reload`;
  // Tables `ip filter` and `ip6 filter` belong to iptables-nft, which Docker and ufw use.
  if (drop.table === 'filter' && (drop.family === 'ip' || drop.family === 'ip6')) {
    const tool = drop.family === 'ip' ? 'iptables' : 'ip6tables';
    if (drop.hook === 'input') return `${tool} -I INPUT -i ${network} -j ACCEPT (with ufw: ufw allow in on ${network})`;
    const target = chains.some(({ chain }) => chain === 'DOCKER-USER') ? 'DOCKER-USER' : 'FORWARD';
    return `${tool} -I ${target} -i ${network} -j ACCEPT && ${tool} -I ${target} -o ${network} -j ACCEPT (with ufw: ufw route allow in on ${
      network} && ufw route allow out on ${network})`;
  }
  const links = drop.hook === 'input' ? [`iifname "${network}"`] : [`iifname "${network}"`, `oifname "${network}"`];
  return links.map((link) => `nft insert rule ${drop.family} ${drop.table} ${drop.chain} ${link} accept`).join(' && ');
}
