import type { Run } from '../../invocation.js';
import { version } from '../../version-number.js';

export const showVersion: Run = async (invocation) => {
  const { remote, name } = invocation.parse(invocation.arg(0));
  let server = 'unreachable';
  try {
    // A word without a colon names no server.
    if (name === '') server = (await invocation.server(remote)).info.environment?.server_version ?? 'unknown';
  } catch {
    // As it says: cannot be reached.
  }
  invocation.print(`Client version: ${version}\nServer version: ${server}`);
};
