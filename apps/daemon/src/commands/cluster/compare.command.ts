import { internal } from '#kernel';
import type { CopiesReport } from '#features/cluster';
import type { Api } from '../init/api.js';

/** `cluster compare-databases`: whether all members hold the same rows. Throws where they do not, after saying which. */
export async function compareDatabases(api: Api, write: (text: string) => void): Promise<void> {
  const report = await api.post<CopiesReport | null>('/internal/cluster/compare', {});
  if (report === null) throw internal('The copies could not be compared: no two members were seen at the same entry, try again when less is written');
  write(`Entry ${report.index}: the same on ${report.agreeing.join(', ')}\n`);
  for (const member of report.silent) write(`${member}: not there\n`);
  for (const { member, tables, replaced } of report.diverged) write(`${member}: another content in ${tables.join(', ')}${replaced ? ', replaced' : ''}\n`);
  if (report.diverged.length > 0) throw internal('Copies of the database differ');
}
