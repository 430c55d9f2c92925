import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { WebSocket } from 'ws';
import { forbidden, internal, invalid, type RequestContext } from '#kernel';
import { eventTypes, type EventType } from '#api-types';
import { allowedProjectsOf } from '#platform/auth';
import { Database } from '#platform/database';
import { EventBus, EventMesh } from '#platform/events';
import { isAllProjects, WebSocketRouter, type UpgradeQuery } from '#platform/http';
import { EventListener } from './event-listener.js';

/** `GET /1.0/events`: a websocket that carries the events of all members. */
@Injectable()
export class EventsService implements OnModuleInit {
  constructor(
    private readonly bus: EventBus,
    private readonly mesh: EventMesh,
    private readonly router: WebSocketRouter,
    private readonly database: Database,
  ) {}

  onModuleInit(): void {
    this.router.register('/1.0/events', async (ctx, _params, query, accept) => this.listen(ctx, query, accept));
  }

  private async listen(ctx: RequestContext, query: UpgradeQuery, accept: () => Promise<WebSocket>): Promise<void> {
    const filter = { types: typesOf(ctx, query.type), project: this.projectOf(ctx, query) };
    // Who listens first and then asks another member for something must not miss how it ends: other members know before the handshake.
    const hold = this.mesh.hold(filter.types);
    const socket = await hold.ready.then(accept).catch((error: unknown) => {
      hold.release();
      throw error;
    });
    const listener = new EventListener(socket);
    const stop = this.bus.subscribe(filter, (json) => listener.send(json));
    socket.once('close', () => {
      stop();
      hold.release();
    });
  }

  /** Null for all projects. Status codes as LXD's. */
  private projectOf(ctx: RequestContext, query: UpgradeQuery): string | null {
    if (isAllProjects(query)) {
      if (query.project) throw invalid('Cannot specify a project when requesting all projects');
      if (allowedProjectsOf(ctx) !== null) throw forbidden('not authorized');
      return null;
    }
    if (this.database.read.get('SELECT 1 FROM projects WHERE name = ?', ctx.project) === undefined) throw internal('Project not found');
    return ctx.project;
  }
}

/** Logging tells about everybody's work, so a restricted client gets it neither by default nor on request. */
function typesOf(ctx: RequestContext, text: string | undefined): EventType[] {
  const restricted = allowedProjectsOf(ctx) !== null;
  if (text === undefined || text === '') return eventTypes.filter((type) => !restricted || type !== 'logging');
  const types = text.split(',').map(eventType);
  if (restricted && types.includes('logging')) throw forbidden('Forbidden');
  return types;
}

function eventType(text: string): EventType {
  const known = eventTypes.find((type) => type === text);
  if (known === undefined) throw internal(`"${text}" isn't a supported event type`);
  return known;
}
