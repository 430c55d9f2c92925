import type { WitnessView } from '#features/cluster';
import type { Api } from '../init/api.js';

type Write = (text: string) => void;

/** `cluster witness add NAME`: the token with which another machine becomes a witness, and what to do with it. */
export async function addWitness(api: Api, name: string, write: Write): Promise<void> {
  const { token } = await api.post<{ token: string }>('/internal/cluster/witnesses', { name });
  write(`On the machine that is to be the witness ${name}:\n\n    roostd witness join TOKEN\n    roostd witness run\n\nThe token:\n${token}\n`);
}

/** `cluster witness list`. */
export async function listWitnesses(api: Api, write: Write): Promise<void> {
  const witnesses = await api.get<WitnessView[]>('/internal/cluster/witnesses');
  const rows = [['NAME', 'ADDRESS', 'STATE', 'VOTES'], ...witnesses.map(({ name, address, online, voter }) => [name, address, online ? 'ONLINE' : 'OFFLINE', voter === 'voter' ? 'YES' : voter === 'learner' ? 'LEARNS' : 'NO'])];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows) write(`${row.map((text, column) => text.padEnd(widths[column]!)).join('  ').trimEnd()}\n`);
}

/** `cluster witness remove NAME`. Its own program sees that it is none any more, and ends. */
export async function removeWitness(api: Api, name: string): Promise<void> {
  await api.delete(`/internal/cluster/witnesses/${encodeURIComponent(name)}`);
}
