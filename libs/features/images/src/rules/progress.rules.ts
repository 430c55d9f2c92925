const units = ['kB', 'MB', 'GB', 'TB'];

/** `3.20MB`: bytes as LXD's progress lines show them. */
export function showBytes(bytes: number): string {
  if (bytes < 1000) return `${Math.round(bytes)}B`;
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value.toFixed(2)}${units[unit]}`;
}

/** `rootfs: 45% (3.20MB/s)`, or `rootfs: 12.00MB (3.20MB/s)` while the size is not known. `prefix` may be empty. */
export function progressText(prefix: string, doneBytes: number, totalBytes: number, elapsedMs: number): string {
  const speed = `${showBytes(elapsedMs <= 0 ? 0 : (doneBytes * 1000) / elapsedMs)}/s`;
  const done = totalBytes > 0 ? `${Math.min(100, Math.floor((doneBytes * 100) / totalBytes))}%` : showBytes(doneBytes);
  return `${prefix === '' ? '' : `${prefix}: `}${done} (${speed})`;
}
