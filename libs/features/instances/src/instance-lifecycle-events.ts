import { Injectable } from '@nestjs/common';
import type { Requestor } from '#kernel';
import { EventBus } from '#platform/events';
import { apiUrl } from '#platform/http';

interface Named {
  readonly project: string;
  readonly name: string;
}

/** Sends `instance-*` lifecycle events with the contexts LXD gives them. Call after the commit. */
@Injectable()
export class InstanceLifecycleEvents {
  constructor(private readonly events: EventBus) {}

  /** `action` without its prefix. LXD names a requestor for power changes and log access only; the caller decides. */
  send(action: string, { project, name }: Named, details: { context?: Record<string, unknown>; requestor?: Requestor; path?: readonly string[] } = {}): void {
    this.events.lifecycle({
      action: `instance-${action}`,
      source: apiUrl(['1.0', 'instances', name, ...(details.path ?? [])], project),
      project,
      context: details.context ?? null,
      ...(details.requestor === undefined ? {} : { requestor: details.requestor }),
    });
  }
}
