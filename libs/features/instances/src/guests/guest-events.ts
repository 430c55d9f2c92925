import type { Socket } from 'node:net';
import { Injectable } from '@nestjs/common';
import type { WebSocket } from 'ws';
import { preciseTimestamp } from '#kernel';
import { isLiveDevice } from '../rules/live-devices.rules.js';
import { changedKeys } from '../rules/expand.rules.js';
import type { ExpandedInstance } from '../data/instance.catalog.js';

/** A listener this far behind is cut off, bytes. */
const maxBacklogBytes = 1024 * 1024;
export const guestEventTypes: readonly string[] = ['config', 'device'];

interface Listener {
  readonly types: readonly string[];
  readonly send: (json: string) => void;
}

type Devices = ExpandedInstance['expandedDevices'];

/** `GET /1.0/events` of the guest API: what of its configuration and devices changes while an instance runs. */
@Injectable()
export class GuestEvents {
  private readonly listeners = new Map<number, Set<Listener>>();

  /** Sends events to a websocket until it closes. */
  addWebSocket(id: number, types: readonly string[], socket: WebSocket): void {
    const stop = this.add(id, { types, send: (json) => {
      if (socket.bufferedAmount > maxBacklogBytes) socket.terminate();
      else socket.send(json);
    } });
    socket.once('close', stop);
    socket.on('error', () => socket.terminate());
  }

  /** Sends events, a line each, to a client that asked for no websocket. */
  addStream(id: number, types: readonly string[], socket: Socket): void {
    const stop = this.add(id, { types, send: (json) => {
      if (socket.writableLength > maxBacklogBytes) socket.destroy();
      else socket.write(`${json}\n`);
    } });
    socket.once('close', stop);
    socket.resume();
  }

  /** Tells of the difference. Call it once the host has taken the change. */
  changed(before: ExpandedInstance, after: ExpandedInstance): void {
    const listeners = this.listeners.get(after.row.id);
    if (listeners === undefined) return;
    const keys = changedKeys(before.expandedConfig, after.expandedConfig).filter((key) => key.startsWith('user.')).sort();
    for (const key of keys) {
      emit(listeners, 'config', { key, old_value: before.expandedConfig[key] ?? '', value: after.expandedConfig[key] ?? '' });
    }
    for (const change of deviceChanges(before.expandedDevices, after.expandedDevices)) emit(listeners, 'device', change);
  }

  private add(id: number, listener: Listener): () => void {
    const set = this.listeners.get(id) ?? new Set();
    this.listeners.set(id, set.add(listener));
    return () => {
      set.delete(listener);
      if (set.size === 0 && this.listeners.get(id) === set) this.listeners.delete(id);
    };
  }
}

function emit(listeners: ReadonlySet<Listener>, type: string, metadata: unknown): void {
  const json = JSON.stringify({ type, timestamp: preciseTimestamp(), metadata });
  for (const listener of listeners) if (listener.types.includes(type)) listener.send(json);
}

/** A device that has to be replaced goes and comes; one that can be changed as it is has changed. */
function deviceChanges(before: Devices, after: Devices): unknown[] {
  const text = (device: Devices[string] | undefined): string => JSON.stringify(Object.entries(device ?? {}).sort());
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().filter((name) => text(before[name]) !== text(after[name]));
  const updated = names.filter((name) => before[name] !== undefined && after[name] !== undefined && isLiveDevice(before[name], after[name]));
  const replaced = names.filter((name) => !updated.includes(name));
  return [
    ...replaced.filter((name) => before[name] !== undefined).map((name) => ({ action: 'removed', config: before[name], name })),
    ...replaced.filter((name) => after[name] !== undefined).map((name) => ({ action: 'added', config: after[name], name })),
    ...updated.map((name) => ({ action: 'updated', config: after[name], name })),
  ];
}
