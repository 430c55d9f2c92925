import { ApiClient } from '#client';
import { socketPath } from '../environment.js';

/** The daemon of this state directory, by its unix socket. Operations are waited for. */
export function openLocalApi(): ApiClient {
  return new ApiClient({ socketPath: socketPath() });
}

/** Any request makes a socket-activated daemon start. */
export async function startRequest(): Promise<void> {
  const api = openLocalApi();
  await api.get('/1.0').finally(() => api.close());
}
