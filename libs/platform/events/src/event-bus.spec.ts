import { describe, expect, it } from 'vitest';
import { LocalMember } from '#kernel';
import { EventBus } from './event-bus.js';

function record(bus: EventBus, types: string[], project: string | null): { events: Record<string, unknown>[]; stop: () => void } {
  const events: Record<string, unknown>[] = [];
  const stop = bus.subscribe({ types, project }, (json) => events.push(JSON.parse(json) as Record<string, unknown>));
  return { events, stop };
}

describe('EventBus', () => {
  it('delivers in order to those who asked for the kind and the project', () => {
    const bus = new EventBus();
    const one = record(bus, ['lifecycle', 'operation'], 'default');
    const all = record(bus, ['lifecycle'], null);

    bus.lifecycle({ action: 'a', source: '/1.0/x', project: 'default' });
    bus.lifecycle({ action: 'b', source: '/1.0/y?project=web', project: 'web' });
    bus.operation({ id: '1' }, 'default');

    expect(one.events.map((e) => e.metadata)).toEqual([{ action: 'a', source: '/1.0/x' }, { id: '1' }]);
    expect(all.events.map((e) => e.project)).toEqual(['default', 'web']);
  });

  it('leaves out empty context and the requestor of internal work', () => {
    const bus = new EventBus();
    const { events } = record(bus, ['lifecycle'], null);

    bus.lifecycle({ action: 'a', source: 's', project: 'default', context: {}, requestor: { username: '', protocol: 'internal', address: '' } });
    bus.lifecycle({ action: 'a', source: 's', project: 'default', context: { old: 1 }, requestor: { username: 'u', protocol: 'unix', address: '@' } });

    expect(events.map((e) => e.metadata)).toEqual([
      { action: 'a', source: 's' },
      { action: 'a', source: 's', context: { old: 1 }, requestor: { username: 'u', protocol: 'unix', address: '@' } },
    ]);
  });

  it('gives log messages to everybody and marks them with no project', () => {
    const bus = new EventBus(Object.assign(new LocalMember(), { name: 'm1', clustered: true }));
    const { events, stop } = record(bus, ['logging'], 'web');

    bus.logging({ level: 'info', message: 'hello' });
    stop();
    bus.logging({ level: 'info', message: 'unheard' });

    expect(events).toEqual([{ type: 'logging', timestamp: expect.any(String), metadata: { message: 'hello', level: 'info', context: {} }, location: 'm1' }]);
    expect(bus.hasListeners('logging')).toBe(false);
  });
});
