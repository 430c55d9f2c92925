/** What the commands need of a `/1.0` client: metadata of the answer, operations waited for, AppErrors thrown with the server's words. */
export interface Api {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  put<T>(path: string, body: unknown, query?: string): Promise<T>;
  patch<T>(path: string, body: unknown): Promise<T>;
  delete<T>(path: string): Promise<T>;
}

/** Names in `GET <path>`, which answers URLs. */
export async function listNames(api: Api, path: string): Promise<string[]> {
  const urls = await api.get<string[]>(path);
  return urls.map((url) => decodeURIComponent(url.split('?')[0]!.split('/').at(-1)!));
}
