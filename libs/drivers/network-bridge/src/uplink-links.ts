import { createHash } from 'node:crypto';
import { internal, invalid, isTrue } from '#kernel';
import { IpBatch, type Ip, type LinkDetails } from '#host';
import type { NetworkSpec } from '#ports';

/** The link that is a network of the host's: the parent itself, or a VLAN of it. Empty for types that have no link. */
export function uplinkOf({ type, config }: NetworkSpec): string {
  const { parent = '', vlan = '' } = config;
  return type === 'physical' ? (vlan === '' ? parent : `${parent}.${vlan}`) : '';
}

/**
 * Networks that are no bridges: instances' NICs are made on a link of the host, which has to be there. Only a `physical` network with a VLAN has a link
 * made for it, which bears the state id and a digest of the network's name, so that it is found again whatever the network was before.
 */
export class UplinkLinks {
  constructor(private readonly ip: Ip, private readonly alias: string) {}

  async ensure(network: NetworkSpec): Promise<void> {
    const { type, config } = network;
    const { parent = '', vlan = '', mtu = '' } = config;
    const links = this.ip.listLinks();
    if (!links.some(({ name }) => name === parent)) throw invalid(`Parent interface "${parent}" not found`);
    const uplink = uplinkOf(network);
    await this.ip.apply(this.removal(network.name, links, uplink));
    if (type !== 'physical') return;
    if (vlan !== '' && !links.some(({ name }) => name === uplink)) {
      try {
        await this.ip.addVlan({ parent, id: vlan, gvrp: isTrue(config['gvrp']) });
      } catch (error) {
        throw internal(`Failed to create VLAN interface "${uplink}" on "${parent}": ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
      await this.ip.apply(new IpBatch().setAlias(uplink, this.mark(network.name)).setUp(uplink));
    }
    const current = this.ip.listLinks().find(({ name }) => name === uplink);
    if (mtu !== '' && current !== undefined && current.mtu !== Number(mtu)) await this.ip.apply(new IpBatch().setMtu(uplink, Number(mtu)));
  }

  /** What can be put back and is missing: nobody but the host's owner can put a parent back. */
  firstFault(network: NetworkSpec, links: readonly LinkDetails[]): string | null {
    const uplink = uplinkOf(network);
    const has = (name: string): boolean => links.some((link) => link.name === name);
    return uplink !== '' && has(network.config['parent'] ?? '') && !has(uplink) ? 'link' : null;
  }

  async remove(name: string): Promise<void> {
    await this.ip.apply(this.removal(name, this.ip.listLinks(), ''));
  }

  async rename(name: string, newName: string): Promise<void> {
    const batch = new IpBatch();
    for (const link of this.ip.listLinks()) if (link.alias === this.mark(name)) batch.setAlias(link.name, this.mark(newName));
    await this.ip.apply(batch);
  }

  /** Of links made for the network that it no longer needs. */
  private removal(name: string, links: readonly LinkDetails[], kept: string): IpBatch {
    const batch = new IpBatch();
    for (const link of links) if (link.alias === this.mark(name) && link.name !== kept) batch.deleteLink(link.name);
    return batch;
  }

  /** Names of such networks may hold what an alias may not. */
  private mark(name: string): string {
    return `${this.alias}:uplink:${createHash('sha256').update(name).digest('hex').slice(0, 16)}`;
  }
}
