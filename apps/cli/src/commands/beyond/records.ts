import { AppError } from '#kernel';
import { url, type Server } from '../../server.js';

/** An operation that has ended, as Roost keeps it. */
export interface OperationRecord {
  readonly id: string;
  readonly kind: string;
  readonly description: string;
  readonly status: string;
  readonly err: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly location: string;
  readonly requestor: { readonly username: string; readonly protocol: string };
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What was done to an instance. Empty where the server keeps nothing, as LXD. */
export async function recordsOf(server: Server, name: string): Promise<OperationRecord[]> {
  const source = `${url(['instances', name])}${server.project === '' || server.project === 'default' ? '' : `?project=${encodeURIComponent(server.project)}`}`;
  try {
    return await server.get<OperationRecord[]>(`/internal/history?source=${encodeURIComponent(source)}`);
  } catch (error) {
    if (AppError.is(error, 'not-found') || AppError.is(error, 'forbidden')) return [];
    throw error;
  }
}
