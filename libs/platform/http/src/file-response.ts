import { FileStream } from './file-stream.js';
import { parseRange } from './byte-range.rules.js';
import { streamResponse, type ApiResponse } from './responses.js';

export interface SentFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedAt: Date;
  /** What the client is told to call it; LXD leaves it empty where it has none. */
  readonly filename: string;
}

/** A file as a body, whole or the part a `Range` header asks for. */
export function fileResponse(file: SentFile, rangeHeader: string | undefined): ApiResponse {
  const headers = { 'Accept-Ranges': 'bytes', 'Content-Disposition': `inline;filename=${file.filename}`, 'Last-Modified': file.modifiedAt.toUTCString() };
  const range = parseRange(rangeHeader, file.sizeBytes);
  if (range === 'unsatisfiable') {
    return streamResponse('invalid range: failed to overlap\n', { status: 416, contentType: 'text/plain; charset=utf-8', headers: { 'Content-Range': `bytes */${file.sizeBytes}` } });
  }
  if (range === null) return streamResponse(new FileStream([{ path: file.path, first: 0, bytes: file.sizeBytes }]), { headers, size: file.sizeBytes });
  const bytes = range.last - range.first + 1;
  return streamResponse(new FileStream([{ path: file.path, first: range.first, bytes }]), {
    status: 206, size: bytes, headers: { ...headers, 'Content-Range': `bytes ${range.first}-${range.last}/${file.sizeBytes}` },
  });
}
