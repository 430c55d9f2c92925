import type { OperationRecord } from '#api-types';
import { AppError } from '#kernel';
import { url, type Server } from '../../server.js';

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
