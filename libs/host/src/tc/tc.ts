import type { CommandRunner } from '../command.js';

/** Shaping of one host interface; 0 means no limit. */
export interface InterfaceLimits {
  /** Bits per second towards the instance: what leaves the host's end. */
  readonly ingressBits: number;
  /** Bits per second from the instance: what enters the host's end. */
  readonly egressBits: number;
}

/** The `tc` tool of iproute2: rate limits on the host's end of a NIC. */
export class Tc {
  constructor(private readonly commands: CommandRunner) {}

  /** Replaces whatever limits the interface has by these. */
  async setLimits(device: string, { ingressBits, egressBits }: InterfaceLimits): Promise<void> {
    await this.clearLimits(device);
    const lines = [...(ingressBits > 0 ? shapeLines(device, ingressBits) : []), ...(egressBits > 0 ? policeLines(device, egressBits) : [])];
    if (lines.length === 0) return;
    await this.commands.run({ argv: ['tc', '-batch', '-'], stdin: lines.map((line) => `${line}\n`).join('') });
  }

  /** Takes both queue disciplines away; absent is success. */
  async clearLimits(device: string): Promise<void> {
    // Forced, because deleting what is not there is an error; there is nothing else in the batch to hide.
    await this.commands.run({
      argv: ['tc', '-force', '-batch', '-'], stdin: `qdisc del dev ${device} root\nqdisc del dev ${device} ingress\n`, okExitCodes: [0, 1, 2],
    });
  }
}

/** Towards the instance a token bucket queues what is too much. */
function shapeLines(device: string, bits: number): string[] {
  return [
    `qdisc add dev ${device} root handle 1:0 htb default 10`,
    `class add dev ${device} parent 1:0 classid 1:10 htb rate ${bits}bit`,
    `filter add dev ${device} parent 1:0 protocol all u32 match u32 0 0 flowid 1:1`,
  ];
}

/** What comes in cannot be queued, only dropped. */
function policeLines(device: string, bits: number): string[] {
  return [
    `qdisc add dev ${device} handle ffff:0 ingress`,
    `filter add dev ${device} parent ffff:0 protocol all u32 match u32 0 0 police rate ${bits}bit burst 1024k mtu 64kb drop`,
  ];
}
