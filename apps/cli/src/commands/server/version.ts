import type { Run } from '../../invocation.js';
import { version } from '../../version-number.js';

export const showVersion: Run = async (invocation) => {
  const { remote } = invocation.parse(invocation.arg(0));
  let server = 'unreachable';
  const { public: isPublic, protocol } = invocation.config.remote(remote);
  try {
    if (isPublic && protocol === 'simplestreams') server = 'simplestreams';
    else server = (await invocation.server(remote)).info.environment?.server_version ?? 'unknown';
  } catch {
    // As it says: cannot be reached.
  }
  invocation.print(`Client version: ${version}\nServer version: ${server}`);
};
