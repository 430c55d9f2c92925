/** `1536` is `1.50KiB`. */
export function bytesIec(bytes: number, digits = 2): string {
  return scaled(bytes, 1024, ['KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'], digits);
}

/** `1500` is `1.50kB`. */
export function bytesSi(bytes: number, digits = 2): string {
  return scaled(bytes, 1000, ['kB', 'MB', 'GB', 'TB', 'PB', 'EB'], digits);
}

function scaled(bytes: number, base: number, units: readonly string[], digits: number): string {
  if (bytes < base) return `${bytes}B`;
  let value = bytes;
  for (const unit of units) {
    value /= base;
    if (value < base) return `${value.toFixed(digits)}${unit}`;
  }
  return `${value.toFixed(digits)}${units.at(-1)}`;
}
