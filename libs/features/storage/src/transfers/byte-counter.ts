const reportMs = 1000;
const units = ['B', 'kB', 'MB', 'GB', 'TB'];

/** Takes numbers of bytes and says, once a second, how many they are together and how fast they come: `12.00MB (3.20MB/s)`, as LXD does. */
export function byteCounter(report: (text: string) => void): (count: number) => void {
  const begun = performance.now();
  let bytes = 0;
  let told = begun;
  return (count) => {
    bytes += count;
    const now = performance.now();
    if (now - told < reportMs) return;
    told = now;
    report(`${size(bytes)} (${size(bytes / ((now - begun) / 1000))}/s)`);
  };
}

function size(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 2)}${units[power]}`;
}
