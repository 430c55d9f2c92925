import type { HttpTransport } from '#client/http';
import { AppError, unavailable } from '#kernel';
import type { StagingFile } from '../files/upload-area.js';

const idleTimeoutMs = 60_000;
const attempts = 3;

/**
 * Fetches one file over HTTP into a staging file. A transfer that breaks is continued where it stopped, if the server can do that;
 * the hash runs along, so nothing is read twice.
 */
export async function fetchFile(transport: HttpTransport, url: string, file: StagingFile, onBytes: (count: number) => void, signal: AbortSignal): Promise<void> {
  const begin = file.sizeBytes;
  for (let attempt = 1; ; attempt++) {
    const offset = file.sizeBytes - begin;
    try {
      const answer = await transport.request({ method: 'GET', url, signal, idleTimeoutMs, headers: offset > 0 ? { range: `bytes=${offset}-` } : {} });
      const continued = offset > 0 && answer.statusCode === 206;
      if (answer.statusCode !== 200 && !continued) {
        answer.resume();
        throw new AppError(answer.statusCode === 404 ? 'not-found' : 'unavailable', `Unable to fetch ${url}: ${answer.statusCode} ${answer.statusMessage}`);
      }
      if (offset > 0 && !continued) {
        answer.destroy();
        throw new AppError('invalid', `Transfer of ${url} broke off and the server cannot continue it`);
      }
      await file.receive(answer, onBytes);
      return;
    } catch (error) {
      const lasting = AppError.is(error) && error.kind !== 'unavailable';
      if (signal.aborted || lasting || attempt === attempts) throw error instanceof AppError ? error : unavailable(`Transfer of ${url} broke off`, { cause: error });
    }
  }
}
