import type { ApiClient } from '#client';

/** What the commands need of a client, so that tests can give them less. */
export type Api = Pick<ApiClient, 'get' | 'post' | 'put' | 'patch' | 'delete'>;

/** Names in `GET <path>`, which answers URLs. */
export async function listNames(api: Api, path: string): Promise<string[]> {
  const urls = await api.get<string[]>(path);
  return urls.map((url) => decodeURIComponent(url.split('?')[0]!.split('/').at(-1)!));
}
