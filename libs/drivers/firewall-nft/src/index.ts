export { NftFirewall, type NftFirewallOptions } from './nft-firewall.driver.js';
