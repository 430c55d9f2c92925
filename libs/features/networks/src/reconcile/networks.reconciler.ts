import { Injectable } from '@nestjs/common';
import { Reconciler } from '#platform/reconcile';
import { NetworksService } from '../networks.service.js';

/** Keeps links, addresses, rules and dnsmasq as the rows want them: others flush rule sets and kill processes. */
@Injectable()
export class NetworksReconciler extends Reconciler {
  override readonly name = 'networks';
  override readonly periodMs = 10_000;

  constructor(private readonly networks: NetworksService) { super(); }

  override run(): Promise<void> {
    return this.networks.restore();
  }
}
