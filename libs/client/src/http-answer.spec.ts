import { describe, expect, it } from 'vitest';
import { HttpAnswerReader } from './http-answer.js';

/** Hands the text over whole, and byte by byte: what was read must not hang on where the pieces end. */
function readBoth(text: string, options: { readonly method?: string; readonly ends?: boolean } = {}): { done: boolean; status: number; headers: object; text: string }[] {
  return [[Buffer.from(text)], [...Buffer.from(text)].map((byte) => Buffer.from([byte]))].map((pieces) => {
    const reader = new HttpAnswerReader(options.method ?? 'GET');
    for (const piece of pieces) reader.push(piece);
    if (options.ends === true) reader.end();
    return { done: reader.done, ...reader.answer };
  });
}

const complaint = (text: string, ends = false): RegExp | string => {
  try {
    readBoth(text, { ends });
    return 'none';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('HttpAnswerReader', () => {
  it('reads an answer of a known length, and its headers by any case', () => {
    for (const answer of readBoth('HTTP/1.1 200 OK\r\nETag: "a"\r\nContent-Length: 5\r\n\r\nhello')) {
      expect(answer).toEqual({ done: true, status: 200, headers: { 'etag': '"a"', 'content-length': '5' }, text: 'hello' });
    }
  });

  it('puts chunks together, letters of two bytes too, and passes over extensions and trailers', () => {
    const text = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nhä\r\nA\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n';
    for (const answer of readBoth(text)) expect(answer).toMatchObject({ done: true, text: 'hä0123456789' });
  });

  it('passes over what is said before the answer', () => {
    for (const answer of readBoth('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n')) expect(answer).toMatchObject({ done: true, status: 404, text: '' });
  });

  it('takes what comes up to the end where no length was said, and no body where there is none', () => {
    for (const answer of readBoth('HTTP/1.0 200 OK\r\n\r\nall of it', { ends: true })) expect(answer).toMatchObject({ done: true, text: 'all of it' });
    for (const answer of readBoth('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n', { method: 'HEAD' })) expect(answer).toMatchObject({ done: true, text: '' });
    for (const answer of readBoth('HTTP/1.1 204 No Content\r\n\r\n')) expect(answer).toMatchObject({ done: true, status: 204 });
  });

  it.each([
    ['', 'EOF'], ['HTTP/1.1 200 OK\r\n', 'unexpected EOF'], ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf', 'unexpected EOF'],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf', 'unexpected EOF'],
  ])('says of %j that its end is missing', (text, expected) => { expect(complaint(text, true)).toBe(expected); });

  it.each([
    ['SSH-2.0-OpenSSH_9\r\n', /^malformed HTTP response "SSH-2/], ['HTTP/1.1 9 No\r\n\r\n', /^malformed HTTP response/], ['HTTP/1.1 200 OK\r\nno header\r\n\r\n', /^malformed MIME header line/],
    ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n', /^bad Content-Length "-1"/], ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n', /^unsupported transfer encoding: "gzip"/],
    ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', /^malformed chunked encoding/], ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc', /^malformed chunked encoding/],
    [`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(70_000)}`, /headers exceeded/],
  ])('refuses %.40j', (text, expected) => { expect(complaint(text)).toMatch(expected); });

  it('keeps no more in memory than fits', () => {
    const reader = new HttpAnswerReader('GET');
    reader.push(Buffer.from('HTTP/1.1 200 OK\r\n\r\n'));
    expect(() => { for (let i = 0; i < 70; i++) reader.push(Buffer.alloc(1024 * 1024)); }).toThrow('longer than');
  });
});
