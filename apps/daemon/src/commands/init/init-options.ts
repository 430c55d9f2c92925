import { invalid } from '#kernel';
import type { InitFlags } from './auto.js';

/** As commander delivers them. */
export interface InitOptions {
  auto?: boolean;
  minimal?: boolean;
  preseed?: boolean;
  dump?: boolean;
  networkAddress?: string;
  networkPort?: string;
  storageBackend?: string;
  storageCreateDevice?: string;
  storageCreateLoop?: string;
  storagePool?: string;
  trustPassword?: string;
}

export function parseInitFlags(options: InitOptions): InitFlags {
  return {
    auto: options.auto === true, minimal: options.minimal === true, preseed: options.preseed === true, dump: options.dump === true,
    networkAddress: options.networkAddress ?? '', networkPort: integer(options.networkPort, '--network-port'),
    storageBackend: options.storageBackend ?? '', storageCreateDevice: options.storageCreateDevice ?? '',
    storageCreateLoop: integer(options.storageCreateLoop, '--storage-create-loop'), storagePool: options.storagePool ?? '',
    trustPassword: options.trustPassword ?? '',
  };
}

/** The whole number of a flag, -1 where it is absent; refused in the words of LXD's own parser. `flag` as in its help: `-t, --timeout`. */
export function integer(text: string | undefined, flag: string): number {
  if (text === undefined) return -1;
  if (!/^[+-]?\d+$/.test(text)) throw invalid(`invalid argument "${text}" for "${flag}" flag: strconv.ParseInt: parsing "${text}": invalid syntax`);
  return Number(text);
}
