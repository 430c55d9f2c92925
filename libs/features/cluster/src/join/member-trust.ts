import { parsePem, toPem, type PeerCertificate } from '#platform/auth';
import type { Tx } from '#platform/database';
import type { MemberRow } from '../data/members.repository.js';

/** Members are in the trust store as servers, where `lxc config trust list` shows them. One that was a client before becomes a server. */
export function trustMember(tx: Tx, name: string, certificate: PeerCertificate): void {
  tx.sql.run('DELETE FROM certificates WHERE fingerprint = ?', certificate.fingerprint);
  tx.sql.run("INSERT INTO certificates (id, fingerprint, type, name, certificate) VALUES (?, ?, 'server', ?, ?)",
    tx.nextId('certificates'), certificate.fingerprint, name, toPem(certificate.x509.raw));
}

export function untrustMember(tx: Tx, { certificate }: Pick<MemberRow, 'certificate'>): void {
  if (certificate !== '') tx.sql.run("DELETE FROM certificates WHERE type = 'server' AND fingerprint = ?", parsePem(certificate).fingerprint);
}
