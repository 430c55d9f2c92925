import type { WirePair } from './migration-messages.rules.js';

/** The last moment of the year 9999: what a time can say in ten characters for its date. */
const latestSeconds = 253_402_300_799;

export function pairsOf(config: Readonly<Record<string, string | undefined>>): WirePair[] {
  return Object.entries(config).map(([key, value]) => ({ key, value: value ?? '' }));
}

export function configOf(pairs: readonly WirePair[]): Record<string, string> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]));
}

/** A time in seconds; `none` for what is no time. */
export function secondsOf(text: string, none: number): number {
  const time = Date.parse(text);
  return Number.isNaN(time) ? none : Math.floor(time / 1000);
}

/** A time by its seconds; null for what is no time, or none that anybody could have meant. */
export function timeOf(seconds: number | undefined): string | null {
  if (seconds === undefined || seconds <= 0 || seconds > latestSeconds) return null;
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
}
