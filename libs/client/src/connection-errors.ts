import { AppError, unavailable } from '#kernel';

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'CERT_UNTRUSTED',
]);

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connect: connection refused',
  EHOSTUNREACH: 'connect: no route to host',
  ENETUNREACH: 'connect: network is unreachable',
  ETIMEDOUT: 'i/o timeout',
};

/** What stopped a connection, as `unavailable` in the words LXD uses, so that its clients' texts read the same. */
export function connectionError(error: Error, target: string): AppError {
  if (error instanceof AppError) return error;
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (untrusted.has(code)) return unavailable('x509: certificate signed by unknown authority', { cause: error });
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return unavailable(`x509: ${error.message}`, { cause: error });
  if (code === 'CERT_HAS_EXPIRED') return unavailable('x509: certificate has expired or is not yet valid', { cause: error });
  if (target.startsWith('/')) return unavailable(`dial unix ${target}: ${reasonOf(code, error)}`, { cause: error });
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return unavailable(`Unable to connect to: ${target} ([lookup ${target.replace(/:\d+$/, '')}: no such host])`, { cause: error });
  }
  if (reasons[code] !== undefined) return unavailable(`Unable to connect to: ${target} ([dial tcp ${target}: ${reasons[code]}])`, { cause: error });
  return unavailable(error.message, { cause: error });
}

function reasonOf(code: string, error: Error): string {
  if (code === 'ENOENT') return 'connect: no such file or directory';
  if (code === 'EACCES') return 'connect: permission denied';
  return reasons[code] ?? error.message;
}
