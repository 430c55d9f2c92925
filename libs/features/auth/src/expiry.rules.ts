/** When something made at `start` expires: `1M 2d` is one minute and two days later. Units as `core.remote_token_expiry` has them. */
export function addExpiry(start: Date, expression: string): Date {
  const end = new Date(start);
  for (const [, count, unit] of expression.matchAll(/(\d+)([SMHdwmy])/g)) {
    const n = Number(count);
    if (unit === 'S') end.setUTCSeconds(end.getUTCSeconds() + n);
    else if (unit === 'M') end.setUTCMinutes(end.getUTCMinutes() + n);
    else if (unit === 'H') end.setUTCHours(end.getUTCHours() + n);
    else if (unit === 'd') end.setUTCDate(end.getUTCDate() + n);
    else if (unit === 'w') end.setUTCDate(end.getUTCDate() + 7 * n);
    else if (unit === 'm') end.setUTCMonth(end.getUTCMonth() + n);
    else if (unit === 'y') end.setUTCFullYear(end.getUTCFullYear() + n);
  }
  return end;
}
