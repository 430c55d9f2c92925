import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Tx } from '#platform/database';

export interface CertificateRecord {
  readonly fingerprint: string;
  readonly type: string;
  readonly name: string;
  /** PEM */
  readonly certificate: string;
  readonly restricted: boolean;
  readonly projects: readonly string[];
}

interface CertificateRow {
  fingerprint: string;
  type: string;
  name: string;
  certificate: string;
  restricted: number;
  projects: string;
}

const columns = 'fingerprint, type, name, certificate, restricted, projects';

/** Rows of the trust store. Methods that decide take the transaction's `sql`. */
@Injectable()
export class CertificatesRepository {
  constructor(private readonly database: Database) {}

  get read(): Sql {
    return this.database.read;
  }

  list(sql: Sql): CertificateRecord[] {
    return sql.all<CertificateRow>(`SELECT ${columns} FROM certificates ORDER BY fingerprint`).map(toRecord);
  }

  /** By a prefix of the fingerprint; the first two matches are enough to tell whether it is ambiguous. */
  findByPrefix(sql: Sql, prefix: string): CertificateRecord[] {
    return sql.all<CertificateRow>(`SELECT ${columns} FROM certificates WHERE substr(fingerprint, 1, ?) = ? ORDER BY fingerprint LIMIT 2`, prefix.length, prefix).map(toRecord);
  }

  insert(tx: Tx, record: CertificateRecord): void {
    tx.sql.run(
      `INSERT INTO certificates (id, ${columns}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
      tx.nextId('certificates'), record.fingerprint, record.type, record.name, record.certificate, record.restricted ? 1 : 0, JSON.stringify(record.projects));
  }

  update(tx: Tx, fingerprint: string, record: CertificateRecord): void {
    tx.sql.run(
      'UPDATE certificates SET fingerprint = ?, name = ?, certificate = ?, restricted = ?, projects = ? WHERE fingerprint = ?',
      record.fingerprint, record.name, record.certificate, record.restricted ? 1 : 0, JSON.stringify(record.projects), fingerprint);
  }

  delete(tx: Tx, fingerprint: string): void {
    tx.sql.run('DELETE FROM certificates WHERE fingerprint = ?', fingerprint);
  }

  hasProject(sql: Sql, name: string): boolean {
    return sql.get('SELECT 1 FROM projects WHERE name = ?', name) !== undefined;
  }
}

function toRecord(row: CertificateRow): CertificateRecord {
  return { ...row, restricted: row.restricted !== 0, projects: JSON.parse(row.projects) as string[] };
}
