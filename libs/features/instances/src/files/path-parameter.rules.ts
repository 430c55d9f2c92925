/** The first `path=` of a URL's query as bytes, which need not be UTF-8; empty without one. */
export function pathParameter(url: string): Buffer {
  const query = url.slice(url.indexOf('?') + 1);
  if (query === url) return Buffer.alloc(0);
  for (const pair of query.split('&')) {
    const mark = pair.indexOf('=');
    if (mark >= 0 && unescape(pair.slice(0, mark)).toString('utf8') === 'path') return unescape(pair.slice(mark + 1));
  }
  return Buffer.alloc(0);
}

function unescape(text: string): Buffer {
  const plain = text.replaceAll('+', ' ').replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(plain, 'latin1');
}
